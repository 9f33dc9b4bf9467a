"""One run at a time per machine: a file lock that names its holder.

The kernel drops the lock with the process, so a killed run never blocks the next.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from nearmetal.errors import NearmetalError
from nearmetal.lab.owner import state_directory


class BusyError(NearmetalError):
    """Another run has the machine."""


@contextmanager
def machine_lock(directory: Path | None = None) -> Iterator[None]:
    """Hold the machine, or say who does."""
    directory = directory or state_directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"another run has this machine: {_holder(directory)}") from None
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


def _holder(directory: Path) -> str:
    try:
        holder = json.loads((directory / "lock").read_text(encoding="utf-8"))
        return f"pid {holder['pid']} since {holder['started_utc']} ({holder['command']})"
    except (ValueError, KeyError):  # caught between taking it and writing the name
        return "it is just starting"
