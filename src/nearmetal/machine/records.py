"""Records of the journal: a folder of small files for each owner, and a lock held while it lives.

A record's first line is JSON: the change that is about to be made. If the thing's identity is known
only after the act, a second line adds it. Beside the records lies a file `lock`, which the owner
holds (flock(2)) as long as it has records. The kernel releases the lock when the process ends, so
every process that sees the folder can find out whether the owner lives, in any namespace.
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
    """One thing made or changed (machine/undo.py describes the fields for each kind)."""

    kind: Kind
    what: str
    old: str | None = None
    new: str | None = None
    inside: str | None = None
    known_by: str | None = None  # identity; a thing with the same name but another identity stays
    owner: Owner
    mounts: int | None = None  # namespaces of the thing; older releases did not write them
    network: int | None = None


class StrangeError(NearmetalError):
    """A record that cannot be read: another release wrote it."""


@dataclass(eq=False)
class OwnerLock:
    """An owner's lock, shared by its journals; `clean` tests it with an exclusive lock."""

    handle: int = -1
    users: int = 0

    @contextmanager
    def held(self, folder: Path) -> Iterator[None]:
        """Hold the lock while this journal has records."""
        if self.users == 0:
            self.handle = _shared(folder)
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            if self.users == 0:
                with suppress(BlockingIOError):  # another of our journals has records
                    fcntl.flock(self.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_folder(folder)
                os.close(self.handle)


@contextmanager
def held_by_none(folder: Path) -> Iterator[bool | None]:
    """Whether the owner is dead: its lock is free, and held here while the body runs.

    None: there is no lock, as with older releases.
    """
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
    """Return the records, the newest first."""
    return sorted(folder.glob("*.json"), reverse=True)


def of_here(kind: Kind, what: str, owner: Owner, **more: str | None) -> Record:
    """Make a record with the calling thread's namespaces."""
    spaces = {"mounts": namespace("mnt"), "network": namespace("net", "thread-self")}
    return Record(kind=kind, what=what, owner=owner, **more, **spaces)


def write(folder: Path, record: Record) -> Path:
    """Write a record, its content and its name synced to disk. Return its file."""
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
    """Append the identity of the thing to its record, now that the thing exists."""
    with file.open("a", encoding="utf-8") as out:
        out.write(f"{json.dumps(identity)}\n")
        out.flush()
        os.fsync(out.fileno())


def read(file: Path) -> Record | None:
    """Read a record. None: its writer was killed while writing, before the act.

    StrangeError: cannot be read. FileNotFoundError: another process has undone it.
    """
    first, *added = file.read_text(encoding="utf-8").splitlines() or [""]
    try:
        told = json.loads(first)
    except ValueError:
        return None
    try:
        record = Record.model_validate(told)
    except ValidationError:
        raise StrangeError(f"{file}: cannot be read; another release wrote it") from None
    with suppress(ValueError, IndexError):  # no second line, or only a part of it
        record = record.model_copy(update={"known_by": str(json.loads(added[-1]))})
    return record


def remove_folder(folder: Path) -> None:
    """Remove the folder if it has no more records. The caller must hold the lock."""
    if not files(folder):
        with suppress(OSError):
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()


def _shared(folder: Path) -> int:
    """Take the shared lock. Try again if a `clean` removes the empty folder meanwhile."""
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
