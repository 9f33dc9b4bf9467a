"""The report of one run, as it is written to report.json."""

from __future__ import annotations

from nearmetal.report.against import Against, against
from nearmetal.report.comparisons import Comparison, comparisons
from nearmetal.report.compute import rows
from nearmetal.report.folder import Facts, Folder
from nearmetal.report.paper import PaperRatio, ratios
from nearmetal.report.row import Row
from nearmetal.samples import Frozen
from nearmetal.spec.experiment import Spec

REPORT_VERSION = 1


class Report(Frozen):
    """A report; keys may be added, never renamed."""

    version: int = REPORT_VERSION
    run: str  # name of the run's folder
    spec: Spec
    machine: Facts
    partial: bool
    reason: str
    rows: tuple[Row, ...]
    # Added later.
    started_utc: str | None
    finished_utc: str | None
    topology: Facts
    build: Facts
    comparisons: tuple[Comparison, ...]
    paper_ratios: tuple[PaperRatio, ...] = ()
    against: Against | None = None  # None: no other tree's programs were measured

    @property
    def failed(self) -> bool:
        """Whether a row of this or the other tree failed."""
        pairs = self.against.rows if self.against else ()
        states = [row.status for row in self.rows] + [row.status for row in pairs]
        return "failed" in states


def make(folder: Folder) -> Report:
    """Make the report of a run's folder."""
    found = rows(folder.setting(), folder.ours())
    other = folder.other()
    return Report(
        run=folder.name,
        spec=folder.spec,
        machine=folder.machine,
        partial=folder.state.partial,
        reason=folder.state.reason,
        rows=found,
        started_utc=folder.state.started_utc,
        finished_utc=folder.state.finished_utc,
        topology=folder.topology,
        build=folder.build,
        comparisons=tuple(comparisons(found)),
        paper_ratios=tuple(ratios(found, folder.machine)),
        against=None if other is None else against(other, found),
    )
