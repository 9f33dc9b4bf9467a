"""One run at a time per machine, for all users and containers: a lock that names its holder.

The lock is on a file that exists once per kernel and that every user may open: the process's time
namespace (time_namespaces(7)). Containers and users have their own process, mount, network and user
namespaces, but hardly ever their own time namespace; processes that have one count as another
machine, e.g. the machines of `testbed rehearse`. The kernel releases the lock when the process
ends, so a killed run never blocks the next. With NEARMETAL_WAIT_S set, as in the tests, a run waits
for the lock instead of being refused.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine.processes import owner

WAIT = "NEARMETAL_WAIT_S"  # environment: seconds to wait for another run; unset: do not wait
# Linux before 5.6 has no time namespaces. Rootless containers then have a separate lock.
_OF_ALL = ("time", "user", "ipc")
_LOOK_S = 0.1
_COMMAND_MAX = 200  # characters of the holder's command line


class BusyError(NearmetalError):
    """Another run holds the machine's lock."""


@contextmanager
def machine_lock(file: Path | None = None) -> Iterator[None]:
    """Hold the machine's lock. BusyError: another run has held it for WAIT seconds."""
    handle = os.open(file or of_all(0), os.O_RDONLY)
    try:
        if not taken(handle, _wait_s()):
            raise BusyError(f"another run has this machine: {_holder(handle)}")
        yield
    finally:
        os.close(handle)


def of_all(number: int) -> Path:
    """Return a file that all processes of this kernel share: 0 is for the machine's lock."""
    files = [owner.PROC / "self/ns" / kind for kind in _OF_ALL]
    return [file for file in files if file.exists()][number]


def taken(handle: int, wait_s: float) -> bool:
    """Whether the file could be locked within this time."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_S)
        else:
            return True


def _wait_s() -> float:
    given = os.environ.get(WAIT, "0")
    if not given.isdecimal():
        raise BadInputError(f"{WAIT}={given}: give a whole number of seconds")
    return float(given)


def _holder(handle: int) -> str:
    """Describe the process that holds the lock."""
    pid = _pid_of_holder(handle)
    if pid is not None:
        with suppress(OSError):
            return _in_words(pid)
    wait = f"wait for its end, or set {WAIT}=SECONDS to wait for it"
    return f"its process cannot be seen from here, perhaps it is in another container; {wait}"


def _pid_of_holder(handle: int) -> int | None:
    """Return the holder's pid from proc_locks(5), or None if this process cannot see it."""
    found = os.fstat(handle)
    name = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        lines = (owner.PROC / "locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for words in map(str.split, lines):
        if words[1:2] == ["FLOCK"] and words[5] == name and int(words[4]) > 0:
            return int(words[4])
    return None


def _in_words(pid: int) -> str:
    """Describe a process: user, start time and command line. OSError: it has ended."""
    folder = owner.PROC / str(pid)
    uid = folder.stat().st_uid
    words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    command = " ".join(" ".join(words).split())  # one line, even if its words have line ends
    if len(command) > _COMMAND_MAX:
        command = f"{command[:_COMMAND_MAX]}..."
    return f"pid {pid} ({user}) since {_started(folder)} ({command})"


def _started(folder: Path) -> str:
    stat = (owner.PROC / "stat").read_text(encoding="ascii")
    booted = next(int(line.split()[1]) for line in stat.splitlines() if line.startswith("btime"))
    ticks = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[19])
    since = booted + ticks / os.sysconf("SC_CLK_TCK")
    return datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
