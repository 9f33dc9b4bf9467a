"""Owners that have ended, and the records that they leave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from nearmetal.machine import records
from nearmetal.machine.journal import Journal
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.owner import Owner
from nearmetal.machine.records import Kind, OwnerLock
from nearmetal.machine.undo import identity


class _Dropped(OwnerLock):
    """A lock that is free, as after its process has ended."""

    @contextmanager
    def held(self, folder: Path) -> Iterator[None]:
        yield


def long_ago() -> Owner:
    """Return an owner with the pid of this process that has ended."""
    return replace(owner.current(), started_ticks=1)


def journal_of(who: Owner, directory: Path) -> Journal:
    """Return a journal whose records have an ended owner: a `clean` undoes them."""
    return Journal(directory, who, _Dropped())


def abandon(directory: Path, who: Owner, kind: Kind, what: Path, **more: str | None) -> Path:
    """Write a record as a killed owner leaves it; for an existing path with its identity."""
    if kind == "path":
        more.setdefault("known_by", identity(what))
    record = records.of_here(kind, str(what), who, **more)
    return records.write(directory / "journal" / str(who), record)


def written(directory: Path) -> list[Path]:
    return sorted((directory / "journal").rglob("*.json"))
