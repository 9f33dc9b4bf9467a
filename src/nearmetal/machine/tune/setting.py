"""What every setting is: something that is read, and planned as changes of files or of a link.

A setting never acts. What it plans is journaled with the old value and then done (apply.py).
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
    """This machine has no such thing, or will not have it so: why, in words."""


@dataclass(frozen=True)
class State:
    """A setting as it was met."""

    name: str
    value: str | None  # None: not on this machine
    note: str = ""  # why it is not there; or what a reader should know
    pages: int = 0  # of a pool


@dataclass(frozen=True)
class Change:
    """One act, and what undoes it (journal.Record)."""

    kind: Kind
    what: str
    new: str
    old: str | None = None
    inside: str | None = None

    @property
    def undone_by(self) -> dict[str, str | None]:
        """The rest of its record."""
        return {"old": self.old, "new": self.new, "inside": self.inside}

    def perform(self) -> None:
        """Do it. OSError: the kernel will not."""
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
    """A small frozen reader and planner of one thing."""

    def read(self) -> State:
        """As it is now."""

    def changes(self, wanted: str) -> list[Change]:
        """What has to be done; none where it is so already. LacksError: it cannot be had."""


def text_of(file: Path) -> str | None:
    """What a file of the kernel's holds; None: it has none such."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def writes(files: Iterable[Path], new: str) -> list[Change]:
    """Set these files; those that hold it already are left alone."""
    found = []
    for file in files:
        old = text_of(file)
        if old is not None and old != new:
            may_write(file)
            found.append(Change("value", str(file), new, old))
    return found


def may_write(file: Path) -> None:
    """LacksError where it is nobody's to change, or not ours."""
    if not os.access(file, os.W_OK):
        root = os.geteuid() == 0
        raise LacksError("the kernel has it read-only here" if root else "needs root")


def in_words(values: Iterable[str]) -> str:
    """One value where all are alike, else how many of each."""
    counts = Counter(values)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{value} ({count})" for value, count in sorted(counts.items()))


def on_off(on: bool) -> str:
    return "on" if on else "off"
