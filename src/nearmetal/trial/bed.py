"""The two values that a trial is made of: what is visited, and with what.

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
    """What a trial is made with."""

    spec: Spec  # at the trial's point
    build: Build
    topology: Topology
    accelerator: Accelerator | None = None  # where virtual machines are started
    consoles: Path | None = None  # where their serial lines are kept; None: beside the sockets

    @property
    def wire(self) -> Wire:
        """Of what stands, and not of the row: one may stand in for another."""
        return known.find(self.topology.wire)

    @property
    def shares_memory(self) -> bool:
        """Whether the generator speaks in frames, through memory of the server's."""
        return self.wire.shares_memory
