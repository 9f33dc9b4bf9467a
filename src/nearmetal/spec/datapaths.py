"""The datapaths: the rows of the file `datapaths` beside this one, which sh and meson read too."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

from nearmetal.samples import Frozen

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


def rows(text: str) -> tuple[Datapath, ...]:
    """The rows of the table's text, in order."""
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(_row(*words) for words in lines)


@cache
def datapaths() -> tuple[Datapath, ...]:
    """Every datapath, in the order of the table."""
    return rows(Path(__file__).with_suffix("").read_text(encoding="utf-8"))


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


def _row(
    name: str, level: str, turn: str, nic: str, places: str, library: str, group: str, knobs: str
) -> Datapath:
    values: dict[str, object] = {
        "name": name,
        "level": level,
        "turn": turn,
        "nic": nic,
        "places": places.split(","),
        "library": None if library == "-" else library,
        "group": None if group == "-" else group,
    }
    for knob in () if knobs == "-" else knobs.split(","):
        key, equals, value = knob.partition("=")
        values[key] = value if equals else True
    return Datapath.model_validate(values)
