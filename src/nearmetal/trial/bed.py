"""The two values that a trial is made of: `Trial` and `Bed`.

`Trial` is one visit of one row; `Bed` is all that the visits of a run share on a wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearmetal.build.programs import Build
from nearmetal.samples import Accelerator, Point
from nearmetal.spec.experiment import Spec
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology import known
from nearmetal.topology.standing import Topology
from nearmetal.topology.wire import Wire

Row = tuple[str, Service, bool]  # rung, service, with the other tree's programs


@dataclass(frozen=True)
class Trial:
    """One visit of one row."""

    rung: Rung
    service: Service
    round: int
    point: Point
    against: bool = False  # with the other tree's programs

    @property
    def row(self) -> Row:
        """Which row is visited, at any point of a sweep."""
        return self.rung.name, self.service, self.against


@dataclass(frozen=True)
class Bed:
    """All that the trials of a run share on one wire."""

    spec: Spec  # at the trial's point
    build: Build
    topology: Topology
    accelerator: Accelerator | None = None  # only for virtual machines
    consoles: Path | None = None  # folder of their serial output; None: beside the sockets

    @property
    def wire(self) -> Wire:
        """The wire that was brought up: it may stand in for the row's wire."""
        return known.find(self.topology.wire)

    @property
    def shares_memory(self) -> bool:
        """Whether the generator exchanges frames through memory that it shares with the server."""
        return self.wire.shares_memory
