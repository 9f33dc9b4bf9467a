"""Who made a thing: a process, told apart from a later one with the same pid by its start time.

Everything that outlives a process (a namespace, a changed value) and every child carries its owner,
so that the next run can tell leftovers from the work of somebody who is still at it. A pid counts
in one process namespace only, so an owner has that namespace too, and the boot. Whether one lives
is first asked of the lock on its records (machine/records.py), which the kernel drops with it;
`fate` is for those who left none that we can see.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_RUN = Path("/run")
ENVIRONMENT = "NEARMETAL_OWNER"  # children carry it: str(owner)
PROC = Path("/proc")
_FOLDER_BYTES_MAX = 64  # sockets lie below it, whose whole path has at most 107 (unix(7))
_NOT_FOR_DPDK = frozenset(",=[]")  # they part the words of its devices (rte_kvargs)
_FIRST_SPACE = 0xEFFFFFFC  # linux/proc_ns.h, PROC_PID_INIT_INO: it shows every process
_TAG_CHARACTERS = 7  # the longest pid has as many: a link's name has 15


@dataclass(frozen=True)
class Owner:
    pid: int
    started_ticks: int  # since boot: field 22 of /proc/PID/stat
    space: int | None = None  # the process namespace where the pid counts
    boot: str | None = None  # older releases wrote neither this nor, at first, the space

    def __str__(self) -> str:
        words = (self.pid, self.started_ticks, self.space, self.boot)
        return ":".join(str(word) for word in words if word is not None)

    @property
    def here(self) -> bool:
        """Whether its pid counts here."""
        return self.space == namespace("pid") and self.boot in (None, boot())

    @property
    def in_words(self) -> str:
        """For one line."""
        if self.here:
            return f"pid {self.pid}"
        if self.boot not in (None, boot()):
            return f"pid {self.pid} of another boot"
        return f"pid {self.pid} of process namespace {self.space or 'unknown'}"


class Fate(Enum):
    """Whether an owner lives; what cannot be told is not touched."""

    LIVES = "lives"
    DEAD = "dead"
    UNKNOWN = "unknown"


def current() -> Owner:
    """This process."""
    status = _status("self", PROC)
    assert status is not None, "/proc is not mounted"
    return Owner(os.getpid(), status[1], namespace("pid"), boot())


def namespace(kind: str, process: str = "self", proc: Path = PROC) -> int | None:
    """A process's namespace (namespaces(7)) by its inode; None: not ours to ask."""
    try:
        return (proc / process / "ns" / kind).stat().st_ino
    except OSError:
        return None


def boot() -> str:
    """This boot of this machine: random(4)."""
    try:
        text = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return "0"
    return text.strip().replace("-", "")


def fate(owner: Owner, proc: Path = PROC) -> Fate:
    """By its process alone: whether that very one runs. A zombie has ended."""
    if owner.boot not in (None, boot()):
        return Fate.UNKNOWN  # the folder may be shared with another machine
    if not owner.here or not shows_ours(proc):
        return _seen_from_above(owner, proc)
    status = _status(str(owner.pid), proc)
    runs = status is not None and status[0] not in "ZX" and status[1] == owner.started_ticks
    return Fate.LIVES if runs else Fate.DEAD


def shows_ours(proc: Path = PROC) -> bool:
    """Whether pids that are read there are those of our process namespace. It was perhaps mounted
    further up: `unshare --pid` without --mount-proc."""
    return len(_pids("self", proc)) == 1


def shows_all(proc: Path = PROC) -> bool:
    """Whether every process of this kernel is shown there."""
    return namespace("pid") == _FIRST_SPACE and shows_ours(proc)


def children(owner: Owner | None = None, proc: Path = PROC) -> list[tuple[int, Owner]]:
    """Processes that carry a marker (of this owner, if given): [(pid, its owner), ...]. None where
    the pids that are shown are not those by which we could end them."""
    found = []
    for entry in proc.iterdir() if shows_ours(proc) else ():
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
    """Back from str(owner), also from what older releases wrote: PID:STARTED, and with a SPACE."""
    words = text.split(":")
    if len(words) not in (2, 3, 4) or not all(word.isdecimal() for word in words[:3]):
        return None
    if not all(word.isalnum() for word in words[3:]):
        return None
    pid, started, *space = map(int, words[:3])
    return Owner(pid, started, space[0] if space else None, words[3] if len(words) > 3 else None)


def label(end: str, pid: int | None = None) -> str:
    """The name of a link or folder of ours, or of that process of our namespace: one that no other
    process of this kernel gives, also one that shares /run or the network. In a namespace below
    the first a pid is no such name, so there it is a hash."""
    pid, space = pid or os.getpid(), namespace("pid")
    if space == _FIRST_SPACE:
        return f"nm-{pid}-{end}"
    digest = hashlib.blake2b(f"{space}:{pid}".encode()).hexdigest()
    return f"nm-{digest[:_TAG_CHARACTERS]}-{end}"


def state_directory() -> Path:
    """Where journals live: gone at the next boot wherever the system offers that."""
    if os.geteuid() == 0 and _is_roots(_RUN):
        return _RUN / "nearmetal"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    name = f"nearmetal-{os.geteuid()}"
    places = [Path(runtime) / "nearmetal"] if runtime else []
    places = [each for each in places if _may_have(each)]
    places += [Path(tempfile.gettempdir()) / name, Path("/tmp") / name]
    return next(filter(_fits, places), places[-1])


def _fits(folder: Path) -> bool:
    """Whether sockets in it can be named to every program, DPDK too."""
    return len(os.fsencode(folder)) <= _FOLDER_BYTES_MAX and not _NOT_FOR_DPDK & {*str(folder)}


def _is_roots(run: Path) -> bool:
    """Whether it belongs to this root: the root of a user namespace does not own the machine's."""
    try:
        return run.stat().st_uid == 0
    except OSError:
        return True  # making a folder in it will say why not


def _may_have(folder: Path) -> bool:
    """Whether it is there for us to write to, or can be made."""
    there = os.access(folder, os.F_OK)
    return os.access(folder if there else folder.parent, os.W_OK | os.X_OK)


def _seen_from_above(owner: Owner, proc: Path) -> Fate:
    """A process namespace shows those below it, the first one all."""
    shown = shows_all(proc)  # the owner would be among them
    for process in (entry.name for entry in proc.iterdir() if entry.name.isdigit()):
        space = namespace("pid", process, proc)
        pids, status = _pids(process, proc), _status(process, proc)
        if status is None or not pids:
            continue
        if space is None and len(pids) > 1 and pids[-1] == owner.pid:
            return Fate.UNKNOWN  # it may be the one
        if space == owner.space is not None:
            shown = True  # one of its namespace is, so all of them are
            # Not by its start, which a time namespace may shift.
            if pids[-1] == owner.pid and status[0] not in "ZX":
                return Fate.LIVES
    return Fate.DEAD if shown and owner.space is not None else Fate.UNKNOWN


def _pids(process: str, proc: Path) -> list[int]:
    """Of a process: as shown there, and on to the namespace that it is in itself."""
    try:
        text = (proc / process / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = (line.split()[1:] for line in text.splitlines() if line.startswith("NSpid:"))
    return [int(word) for word in next(lines, [])]


def _status(process: str, proc: Path) -> tuple[str, int] | None:
    """(state, start time) from proc(5), /proc/PID/stat; None when there is no such process."""
    try:
        text = (proc / process / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything, ") " included: the last one ends it.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
