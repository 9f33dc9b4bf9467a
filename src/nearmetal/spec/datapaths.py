"""The table of datapaths: the file `datapaths` in this folder, which sh and meson read too."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

from nearmetal.machine.needs import Need
from nearmetal.samples import Frozen
from nearmetal.spec import table

Place = Literal["host", "guest", "uk", "ukp"]  # the farthest from the metal first

# nm-<datapath>-<service> on the host, nm-<place>-<datapath>-<service> in the other places.
_PROGRAM = re.compile(r"nm-(?:(?:guest|ukp|uk)-)?([a-z0-9_-]+)-[a-z0-9_]+")


class Datapath(Frozen):
    """One way to receive and send bursts."""

    name: str
    level: Literal["datagram", "frames"]
    turn: Literal["sleeps", "polls"]
    nic: Literal["kernel", "own"]
    places: tuple[Place, ...]
    library: str | None  # pkg-config name; or python, lwip
    group: str | None  # group of system packages
    batch: int | None = None  # --batch
    segment: bool = False  # --segment
    needs: tuple[Need, ...] = ()  # of the host's kernel

    @property
    def package(self) -> str | None:
        """The distribution's package of its library, whose files are fetched; None: it has none."""
        return self.group if self.group is not None and self.group.endswith("-dev") else None

    @property
    def at_interface(self) -> bool:
        """Whether it exchanges frames with an interface of the kernel, which it shares with it."""
        return self.in_frames and self.nic == "kernel"

    @property
    def in_frames(self) -> bool:
        """Whether it handles Ethernet frames instead of datagrams."""
        return self.level == "frames"

    @property
    def is_python(self) -> bool:
        """Whether it is a Python module instead of a C file."""
        return self.library == "python"


class NoDatapathError(LookupError):
    """The table has no datapath of that name."""


def read(path: Path) -> tuple[Datapath, ...]:
    """Return every row of a table file, in the file's order."""
    return table.read(path, _COLUMNS, _row)


@cache
def datapaths() -> tuple[Datapath, ...]:
    """Return every datapath, in the order of the table."""
    return read(Path(__file__).with_suffix(""))


def find(name: str) -> Datapath:
    """Return the datapath of that name. Raises NoDatapathError."""
    for each in datapaths():
        if each.name == name:
            return each
    raise NoDatapathError(name)


def of_program(program: str) -> Datapath | None:
    """Return the datapath of one of our programs or images; None where it has no datapath."""
    found = _PROGRAM.fullmatch(program)
    return next((each for each in datapaths() if found and each.name == found[1]), None)


_COLUMNS = ("name", "level", "turn", "nic", "places", "library", "group", "knobs", "needs")


def _row(columns: dict[str, str | None]) -> Datapath:
    lists = {name: table.listed(columns[name]) for name in ("places", "needs")}
    values: dict[str, object] = {**columns, **lists}
    for knob in table.listed(columns["knobs"]):
        key, equals, value = knob.partition("=")
        values[key] = value if equals else True
    del values["knobs"]
    return Datapath.model_validate(values)
