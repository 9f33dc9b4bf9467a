"""Who made a thing: a process, told apart from a later one with the same pid by its start time.

Everything that outlives a process (a namespace, a changed value) and every child carries its owner,
so that the next run can tell leftovers from the work of somebody who is still at it. A pid counts
in one process namespace only: of an owner in another, a container's, nothing can be told, so it is
taken to be alive.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT = "NEARMETAL_OWNER"  # children carry it: pid:started:space
PROC = Path("/proc")
_FOLDER_BYTES_MAX = 64  # sockets lie below it, whose whole path has at most 107 (unix(7))


def _space() -> int:
    """Our process namespace (pid_namespaces(7)): its inode."""
    return Path("/proc/self/ns/pid").stat().st_ino


@dataclass(frozen=True)
class Owner:
    pid: int
    started_ticks: int  # since boot: field 22 of /proc/PID/stat
    space: int = field(default_factory=_space)  # where the pid counts

    def __str__(self) -> str:
        return f"{self.pid}:{self.started_ticks}:{self.space}"


def current() -> Owner:
    """This process."""
    status = _status(os.getpid(), PROC)
    assert status is not None, "/proc is not mounted"
    return Owner(os.getpid(), status[1])


def alive(owner: Owner, proc: Path = PROC) -> bool:
    """True while that very process runs, and where that cannot be known; a zombie has ended."""
    if owner.space != _space():
        return True
    status = _status(owner.pid, proc)
    return status is not None and status[0] not in "ZX" and status[1] == owner.started_ticks


def children(owner: Owner | None = None, proc: Path = PROC) -> list[tuple[int, Owner]]:
    """Processes that carry a marker (of this owner, if given): [(pid, its owner), ...]."""
    found = []
    for entry in proc.iterdir():
        if entry.name.isdigit() and (marker := marked_by(int(entry.name), proc)) is not None:
            found.append((int(entry.name), marker))
    return [(pid, marker) for pid, marker in found if owner is None or marker == owner]


def marked_by(pid: int, proc: Path = PROC) -> Owner | None:
    """The owner named in a process's environment."""
    try:
        environment = (proc / str(pid) / "environ").read_bytes()
    except OSError:  # ended, or somebody else's
        return None
    prefix = f"{ENVIRONMENT}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(prefix):
            return parse(entry[len(prefix) :].decode(errors="replace"))
    return None


def parse(text: str) -> Owner | None:
    """Back from str(owner). Without a namespace, as older releases wrote it, it is of ours."""
    words = text.split(":")
    if len(words) not in (2, 3) or not all(word.isdecimal() for word in words):
        return None
    return Owner(*map(int, words))


def state_directory() -> Path:
    """Where locks and journals live: gone at the next boot wherever the system offers that."""
    if os.geteuid() == 0:
        return Path("/run/nearmetal")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    name = f"nearmetal-{os.geteuid()}"
    places = [Path(runtime) / "nearmetal"] if runtime and Path(runtime).is_dir() else []
    places += [Path(tempfile.gettempdir()) / name, Path("/tmp") / name]
    short = (each for each in places if len(os.fsencode(each)) <= _FOLDER_BYTES_MAX)
    return next(short, places[-1])


def _status(pid: int, proc: Path) -> tuple[str, int] | None:
    """(state, start time) from proc(5), /proc/PID/stat; None when there is no such process."""
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything, ") " included: the last one ends it.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
