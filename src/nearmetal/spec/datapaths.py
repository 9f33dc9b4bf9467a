"""The datapaths: the rows of the file `datapaths` beside this one, which sh and meson read too."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

from nearmetal.samples import Frozen
from nearmetal.spec import table

Place = Literal["host", "guest", "uk", "ukp"]

# nm-<datapath>-<service> of the host; of the other places nm-<place>-<datapath>-<service>.
_PROGRAM = re.compile(r"nm-(?:(?:guest|ukp|uk)-)?([a-z0-9_]+)-[a-z0-9_]+")


class Datapath(Frozen):
    """One way to receive and send bursts."""

    name: str
    level: Literal["datagram", "frames"]
    turn: Literal["sleeps", "polls"]
    nic: Literal["kernel", "own"]
    places: tuple[Place, ...]
    library: str | None  # as pkg-config calls it; python, lwip
    group: str | None  # of system packages
    batch: int | None = None  # --batch
    segment: bool = False  # --segment

    @property
    def in_frames(self) -> bool:
        """Whether it sees Ethernet frames, and not datagrams."""
        return self.level == "frames"

    @property
    def is_python(self) -> bool:
        """Whether it is a module of Python, and not a file of C."""
        return self.library == "python"


class NoDatapathError(LookupError):
    """There is no row of that name."""


def read(path: Path) -> tuple[Datapath, ...]:
    """Every row of a table, in its order."""
    return table.read(path, _COLUMNS, _row)


@cache
def datapaths() -> tuple[Datapath, ...]:
    """Every datapath, in the order of the table."""
    return read(Path(__file__).with_suffix(""))


def find(name: str) -> Datapath:
    """The datapath of that name."""
    for each in datapaths():
        if each.name == name:
            return each
    raise NoDatapathError(name)


def of_program(program: str) -> Datapath | None:
    """The datapath of a program or image of ours; None: it has none."""
    found = _PROGRAM.fullmatch(program)
    return next((each for each in datapaths() if found and each.name == found[1]), None)


_COLUMNS = ("name", "level", "turn", "nic", "places", "library", "group", "knobs")


def _row(columns: dict[str, str | None]) -> Datapath:
    values: dict[str, object] = {**columns, "places": table.listed(columns["places"])}
    for knob in table.listed(columns["knobs"]):
        key, equals, value = knob.partition("=")
        values[key] = value if equals else True
    del values["knobs"]
    return Datapath.model_validate(values)
