"""The contract of a setting: a state to read, and planned changes of files or of a link.

A setting never acts. apply.py writes a record with the old value and then makes the change.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nearmetal.errors import NearmetalError
from nearmetal.machine import hugepage_claims
from nearmetal.machine.devices import ethtool
from nearmetal.machine.records import Kind


class LacksError(NearmetalError):
    """This machine lacks the setting or does not allow the value; the message says why."""


@dataclass(frozen=True)
class State:
    """A setting as it is now."""

    name: str
    value: str | None  # None: not on this machine
    note: str = ""  # why the value is None, or a caveat
    pages: int = 0  # number of pages, for a pool


@dataclass(frozen=True)
class Change:
    """One change and the data to undo it (machine/records.py)."""

    kind: Kind
    what: str
    new: str
    old: str | None = None
    inside: str | None = None

    @property
    def undone_by(self) -> dict[str, str | None]:
        """Return the other fields of the change's record."""
        return {"old": self.old, "new": self.new, "inside": self.inside}

    def perform(self) -> None:
        """Make the change. OSError: the kernel refuses it."""
        if self.kind == "pages":
            assert self.inside is not None
            hugepage_claims.take(Path(self.what), Path(self.inside), int(self.new))
        elif self.kind == "offload":
            assert self.inside is not None
            feature = next(each for each in ethtool.FEATURES if each == self.what)
            ethtool.switch(self.inside, feature, self.new == "on")
        else:
            Path(self.what).write_text(self.new, encoding="ascii")


class Setting(Protocol):
    """Reads one setting and plans its changes."""

    def read(self) -> State:
        """Return the present state."""

    def changes(self, wanted: str) -> list[Change]:
        """Return the changes to reach `wanted`, none if it is reached. LacksError: impossible."""


def text_of(file: Path) -> str | None:
    """Return the text of a kernel file, or None if it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def writes(files: Iterable[Path], new: str) -> list[Change]:
    """Plan to set these files; files that hold the value already are left out."""
    found = []
    for file in files:
        old = text_of(file)
        if old is not None and old != new:
            may_write(file)
            found.append(Change("value", str(file), new, old))
    return found


def may_write(file: Path) -> None:
    """Check that this process may write the file. LacksError: it may not."""
    if not os.access(file, os.W_OK):
        root = os.geteuid() == 0
        raise LacksError("the kernel has it read-only here" if root else "needs root")


def in_words(values: Iterable[str]) -> str:
    """Return the value if all are equal, else how many of each there are."""
    counts = Counter(values)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{value} ({count})" for value, count in sorted(counts.items()))


def on_off(on: bool) -> str:
    return "on" if on else "off"
