"""One run at a time per machine: a file lock that names its holder.

The kernel drops the lock with the process, so a killed run never blocks the next. Who would rather
wait than be refused sets NEARMETAL_WAIT_S, as the tests do.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine.processes.owner import state_directory

WAIT = "NEARMETAL_WAIT_S"  # in the environment: how long to wait for another run; else not at all
_LOOK_S = 0.1


class BusyError(NearmetalError):
    """Another run has the machine."""


@contextmanager
def machine_lock(directory: Path | None = None) -> Iterator[None]:
    """Hold the machine, or say who does; WAIT in the environment: after so long."""
    directory = directory or state_directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "lock").open("a+", encoding="utf-8") as file:
        deadline = time.monotonic() + _wait_s()
        while not _take(file):
            if time.monotonic() >= deadline:
                raise BusyError(f"another run has this machine: {_holder(directory)}")
            time.sleep(_LOOK_S)
        file.truncate(0)
        json.dump(
            {
                "pid": os.getpid(),
                "started_utc": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": " ".join(sys.argv),
            },
            file,
        )
        file.flush()
        yield
        file.truncate(0)


def _take(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_s() -> float:
    given = os.environ.get(WAIT, "0")
    if not given.isdecimal():
        raise BadInputError(f"{WAIT}={given}: give a whole number of seconds")
    return float(given)


def _holder(directory: Path) -> str:
    try:
        holder = json.loads((directory / "lock").read_text(encoding="utf-8"))
        return f"pid {holder['pid']} since {holder['started_utc']} ({holder['command']})"
    except (ValueError, KeyError):  # caught between taking it and writing the name
        return "it is just starting"
