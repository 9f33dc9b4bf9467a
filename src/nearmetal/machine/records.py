"""The journal's records: a folder of small files for each owner, and the lock that says it lives.

A record is one line of JSON, what is about to be done; where that can be known only afterwards, a
second line is what the thing is known by. Beside an owner's records lies a file `lock`, which it
holds (flock(2)) as long as there are any. The kernel drops it with the process, so every
process that sees the folder can tell whether the owner lives, in any namespace.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from nearmetal.errors import NearmetalError
from nearmetal.machine.processes.owner import Owner, namespace
from nearmetal.paths import sync_folder
from nearmetal.samples import Frozen

Kind = Literal[
    "netns", "link", "process", "value", "path", "pages", "offload", "address", "flag", "rings",
    "channels", "xdp", "driver", "interface", "interrupts", "module",
]  # fmt: skip

_LOCK = "lock"


class Record(Frozen):
    """One thing made or changed (machine/undo.py says what the fields are, kind by kind)."""

    kind: Kind
    what: str
    old: str | None = None
    new: str | None = None
    inside: str | None = None
    known_by: str | None = None  # what has its name and not this is another's
    owner: Owner
    mounts: int | None = None  # namespaces in which it is; older releases did not write them
    network: int | None = None


class StrangeError(NearmetalError):
    """A record that another release wrote."""


@dataclass(eq=False)
class OwnerLock:
    """An owner's, shared by its journals; a `clean` asks for it alone."""

    handle: int = -1
    users: int = 0

    @contextmanager
    def held(self, folder: Path) -> Iterator[None]:
        """While there are records of this journal."""
        if self.users == 0:
            self.handle = _shared(folder)
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            if self.users == 0:
                with suppress(BlockingIOError):  # another journal of ours has records
                    fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_folder(folder)
                os.close(self.handle)


@contextmanager
def nobody_holds(folder: Path) -> Iterator[bool | None]:
    """Whether the owner is dead: it has let go of its lock, which is ours meanwhile. None: it has
    none, as older releases."""
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        yield None
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(handle)


def files(folder: Path) -> list[Path]:
    """The records, the last first."""
    return sorted(folder.glob("*.json"), reverse=True)


def of_here(kind: Kind, what: str, owner: Owner, **more: str | None) -> Record:
    """A record of the calling thread's namespaces."""
    spaces = {"mounts": namespace("mnt"), "network": namespace("net", "thread-self")}
    return Record(kind=kind, what=what, owner=owner, **more, **spaces)


def write(folder: Path, record: Record) -> Path:
    """Synced to the disk, the name too."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    last = max((int(file.stem) for file in files(folder)), default=0)
    file = folder / f"{last + 1:06}.json"
    with file.open("x", encoding="utf-8") as out:
        out.write(f"{record.model_dump_json()}\n")
        out.flush()
        os.fsync(out.fileno())
    sync_folder(folder)
    return file


def add_known_by(file: Path, identity: str) -> None:
    """What the thing is known by, now that it came about."""
    with file.open("a", encoding="utf-8") as out:
        out.write(f"{json.dumps(identity)}\n")
        out.flush()
        os.fsync(out.fileno())


def read(file: Path) -> Record | None:
    """None: cut short by a kill, before anything was done. StrangeError: not to be understood.
    FileNotFoundError: another process undid it."""
    first, *added = file.read_text(encoding="utf-8").splitlines() or [""]
    try:
        told = json.loads(first)
    except ValueError:
        return None
    try:
        record = Record.model_validate(told)
    except ValidationError:
        raise StrangeError(f"{file}: not understood; another release wrote it") from None
    with suppress(ValueError, IndexError):  # none, or in part
        record = record.model_copy(update={"known_by": str(json.loads(added[-1]))})
    return record


def remove_folder(folder: Path) -> None:
    """Where there are no records in it any more; the lock is the caller's."""
    if not files(folder):
        with suppress(OSError):
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()


def _shared(folder: Path) -> int:
    """The lock, taken. A `clean` may take an empty folder away meanwhile."""
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(handle, fcntl.LOCK_SH)
        if os.fstat(handle).st_nlink > 0:
            return handle
        os.close(handle)
