"""Owners: the process that made a thing, told apart from later ones with its pid by start time.

Everything that outlives a process (a namespace, a changed value) and every child carries its owner,
so that the next run can tell leftovers from the work of a living process. A pid is valid in one
process namespace only, so an owner also names that namespace, and the boot. Whether an owner lives
is first read from the lock on its records (machine/records.py), which the kernel releases when the
owner ends; `fate` is for owners without records that this process can see.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_RUN = Path("/run")
ENVIRONMENT = "NEARMETAL_OWNER"  # environment variable of children: str(owner)
PROC = Path("/proc")
_FOLDER_BYTES_MAX = 64  # sockets lie below it, and a socket's path has at most 107 bytes (unix(7))
_NOT_FOR_DPDK = frozenset(",=[]")  # separators in DPDK's device arguments (rte_kvargs)
_FIRST_SPACE = 0xEFFFFFFC  # linux/proc_ns.h, PROC_PID_INIT_INO: this namespace sees all processes
_TAG_CHARACTERS = 7  # as many as the longest pid: a link's name has at most 15


@dataclass(frozen=True)
class Owner:
    pid: int
    started_ticks: int  # clock ticks from boot to its start: field 22 of /proc/PID/stat
    space: int | None = None  # process namespace in which the pid is valid
    boot: str | None = None  # older releases wrote no boot, and the oldest no space

    def __str__(self) -> str:
        words = (self.pid, self.started_ticks, self.space, self.boot)
        return ":".join(str(word) for word in words if word is not None)

    @property
    def here(self) -> bool:
        """Whether the pid is valid in this process namespace and this boot."""
        return self.space == namespace("pid") and self.boot in (None, boot())

    @property
    def in_words(self) -> str:
        """Describe the owner for one line of output."""
        if self.here:
            return f"pid {self.pid}"
        if self.boot not in (None, boot()):
            return f"pid {self.pid} of another boot"
        return f"pid {self.pid} of process namespace {self.space or 'unknown'}"


class Fate(Enum):
    """Whether an owner lives. Things of an owner whose fate is unknown are not touched."""

    LIVES = "lives"
    DEAD = "dead"
    UNKNOWN = "unknown"


def current() -> Owner:
    """Return the owner that stands for this process."""
    status = _status("self", PROC)
    assert status is not None, "/proc is not mounted"
    return Owner(os.getpid(), status[1], namespace("pid"), boot())


def namespace(kind: str, process: str = "self", proc: Path = PROC) -> int | None:
    """Return the inode of a process's namespace (namespaces(7)), or None without the right."""
    try:
        return (proc / process / "ns" / kind).stat().st_ino
    except OSError:
        return None


def boot() -> str:
    """Return the id of this machine's present boot (random(4))."""
    try:
        text = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return "0"
    return text.strip().replace("-", "")


def fate(owner: Owner, proc: Path = PROC) -> Fate:
    """Return whether the owner's process runs, judged by /proc alone. A zombie has ended."""
    if owner.boot not in (None, boot()):
        return Fate.UNKNOWN  # the folder may be shared with another machine
    if not owner.here or not shows_ours(proc):
        return _seen_from_above(owner, proc)
    status = _status(str(owner.pid), proc)
    runs = status is not None and status[0] not in "ZX" and status[1] == owner.started_ticks
    return Fate.LIVES if runs else Fate.DEAD


def shows_ours(proc: Path = PROC) -> bool:
    """Whether this /proc has the pids of our process namespace.

    It may belong to a namespace above, e.g. after `unshare --pid` without --mount-proc.
    """
    return len(_pids("self", proc)) == 1


def shows_all(proc: Path = PROC) -> bool:
    """Whether this /proc has every process of the kernel."""
    return namespace("pid") == _FIRST_SPACE and shows_ours(proc)


def children(owner: Owner | None = None, proc: Path = PROC) -> list[tuple[int, Owner]]:
    """Return (pid, owner) of processes that carry a marker, or the marker of `owner` if given.

    The list is empty if /proc has pids of another namespace, with which we could not end them.
    """
    found = []
    for entry in proc.iterdir() if shows_ours(proc) else ():
        if entry.name.isdigit() and (marker := marked_by(int(entry.name), proc)) is not None:
            found.append((int(entry.name), marker))
    return [(pid, marker) for pid, marker in found if owner is None or marker == owner]


def marked_by(pid: int, proc: Path = PROC) -> Owner | None:
    """Return the owner that the process's environment names, or None."""
    try:
        environment = (proc / str(pid) / "environ").read_bytes()
    except OSError:  # the process has ended, or belongs to another user
        return None
    prefix = f"{ENVIRONMENT}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(prefix):
            return parse(entry[len(prefix) :].decode(errors="replace"))
    return None


def parse(text: str) -> Owner | None:
    """Parse str(owner), also the older forms PID:STARTED and PID:STARTED:SPACE. None: invalid."""
    words = text.split(":")
    if len(words) not in (2, 3, 4) or not all(word.isdecimal() for word in words[:3]):
        return None
    if not all(word.isalnum() for word in words[3:]):
        return None
    pid, started, *space = map(int, words[:3])
    return Owner(pid, started, space[0] if space else None, words[3] if len(words) > 3 else None)


def label(end: str, pid: int | None = None) -> str:
    """Return a name for a link or folder of ours, or of process `pid` of our namespace.

    No other process of this kernel uses the same name, even if it shares /run or the network. In a
    process namespace below the first one, pids are not unique, so the name has a hash instead.
    """
    pid, space = pid or os.getpid(), namespace("pid")
    if space == _FIRST_SPACE:
        return f"nm-{pid}-{end}"
    digest = hashlib.blake2b(f"{space}:{pid}".encode()).hexdigest()
    return f"nm-{digest[:_TAG_CHARACTERS]}-{end}"


def state_directory() -> Path:
    """Return the folder for journals, if possible one that the system empties at reboot."""
    if os.geteuid() == 0 and _is_roots(_RUN):
        return _RUN / "nearmetal"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    name = f"nearmetal-{os.geteuid()}"
    places = [Path(runtime) / "nearmetal"] if runtime else []
    places = [each for each in places if _may_have(each)]
    places += [Path(tempfile.gettempdir()) / name, Path("/tmp") / name]
    return next(filter(_fits, places), places[-1])


def _fits(folder: Path) -> bool:
    """Whether all programs, also DPDK, can be given paths of sockets in this folder."""
    return len(os.fsencode(folder)) <= _FOLDER_BYTES_MAX and not _NOT_FOR_DPDK & {*str(folder)}


def _is_roots(run: Path) -> bool:
    """Whether this root owns /run: the root of a user namespace does not own the machine's."""
    try:
        return run.stat().st_uid == 0
    except OSError:
        return True  # making a folder there reports the reason


def _may_have(folder: Path) -> bool:
    """Whether this process can write to the folder, or can make it."""
    there = os.access(folder, os.F_OK)
    return os.access(folder if there else folder.parent, os.W_OK | os.X_OK)


def _seen_from_above(owner: Owner, proc: Path) -> Fate:
    """Judge an owner of another process namespace: /proc shows all namespaces below its own."""
    shown = shows_all(proc)  # then the owner must be among them
    for process in (entry.name for entry in proc.iterdir() if entry.name.isdigit()):
        space = namespace("pid", process, proc)
        pids, status = _pids(process, proc), _status(process, proc)
        if status is None or not pids:
            continue
        if space is None and len(pids) > 1 and pids[-1] == owner.pid:
            return Fate.UNKNOWN  # may be the owner
        if space == owner.space is not None:
            shown = True  # one process of the namespace is visible, so all of them are
            # Do not compare start times: a time namespace may shift them.
            if pids[-1] == owner.pid and status[0] not in "ZX":
                return Fate.LIVES
    return Fate.DEAD if shown and owner.space is not None else Fate.UNKNOWN


def _pids(process: str, proc: Path) -> list[int]:
    """Return the process's pids, from this /proc's namespace down to the process's own."""
    try:
        text = (proc / process / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = (line.split()[1:] for line in text.splitlines() if line.startswith("NSpid:"))
    return [int(word) for word in next(lines, [])]


def _status(process: str, proc: Path) -> tuple[str, int] | None:
    """Return (state, start time) from /proc/PID/stat (proc(5)), or None: no such process."""
    try:
        text = (proc / process / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may contain anything, also ") ": use the last parenthesis.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
