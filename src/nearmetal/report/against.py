"""Our rows over the same rows of another tree's programs: what the difference of both did.

A pair is two trials of one row and round, one right after the other, so that the machine's speed is
much the same in both. Ratios are taken pair by pair, ours over the other's, and only then is their
median; a pair counts where nothing is wrong with either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nearmetal.report.compute import fault
from nearmetal.report.intervals import interval
from nearmetal.report.row import Interval, IntervalKind, Row, Status
from nearmetal.report.words import name
from nearmetal.samples import Frozen, Point, Sample
from nearmetal.spec import sweep

_Trials = dict[int, Sample]  # by round


class PairRatio(Interval):
    """Median over the pairs, and the interval that `interval` names."""

    interval: IntervalKind | None = None
    pairs: tuple[float, ...] = ()  # of each, in the order of the rounds


class PairedRow(Frozen):
    """One row over the other tree's."""

    row: str
    rung: str
    service: str
    point: Point
    status: Status
    reason: str = ""
    pairs: int = 0
    by_rate: PairRatio = PairRatio()  # closed loop: an open one sets the rate itself
    by_busy_cycles: PairRatio = PairRatio()  # per reply: less than 1 is cheaper
    floor: bool | None = None  # the generator, or another, held our rate up: the cycles tell


class Against(Frozen):
    """What a run with another tree's programs found."""

    name: str
    commit: str | None
    dirty: bool
    rows: tuple[PairedRow, ...]


@dataclass(frozen=True)
class Other:
    """The other tree, and the trials of both."""

    name: str
    commit: str | None
    dirty: bool
    unpaired: Mapping[str, str] = field(default_factory=dict)  # "rung service" -> why
    samples: Sequence[Sample] = ()
    reason: str = ""  # why the run ended early


def against(other: Other, rows: Sequence[Row]) -> Against:
    """A line for each of our rows, whatever became of it."""
    found = tuple(_paired(other, row) for row in rows)
    return Against(name=other.name, commit=other.commit, dirty=other.dirty, rows=found)


def _paired(other: Other, row: Row) -> PairedRow:
    ours, theirs = _trials(other.samples, row, None), _trials(other.samples, row, other.name)
    both = [(ours[n], theirs[n]) for n in sorted(ours.keys() & theirs.keys())]
    good = [pair for pair in both if not any(map(fault, pair))]
    status, reason = _state(other, row, theirs, bool(good))
    found = PairedRow(
        row=name(row),
        rung=row.rung,
        service=row.service,
        point=row.point,
        status=status,
        reason=reason,
        pairs=len(good),
        floor=row.generator_bound,
    )
    if status != "ok":
        return found
    rates = [_rate(mine) / _rate(its) for mine, its in good] if row.loop == "closed" else []
    return found.model_copy(
        update={"by_rate": _ratio(rates), "by_busy_cycles": _ratio(list(_cycles(good)))}
    )


def _trials(samples: Sequence[Sample], row: Row, side: str | None) -> _Trials:
    key = (row.rung, row.service, sweep.planned(row.point), side)
    return {
        each.round: each
        for each in samples
        if (each.rung, each.service, sweep.planned(each.point), each.against) == key
    }


def _state(other: Other, row: Row, theirs: _Trials, is_paired: bool) -> tuple[Status, str]:
    """A row that failed on either side has no ratio, as it has no speed."""
    if row.status != "ok":
        return row.status, row.reason
    if (why := other.unpaired.get(f"{row.rung} {row.service}")) is not None:
        return "skipped", why
    faults = [f"round {n + 1}: {why}" for n, each in theirs.items() if (why := fault(each))]
    if faults:
        return "failed", f"{other.name}: {'; '.join(faults)}"
    if not is_paired:
        return "skipped", f"the run ended before its first pair: {other.reason or 'no reason'}"
    return "ok", ""


def _rate(sample: Sample) -> float:
    assert sample.counts is not None  # or it had a fault
    return sample.counts.answered * 1e9 / sample.counts.duration_ns


def _cycles(pairs: Sequence[tuple[Sample, Sample]]) -> Iterator[float]:
    """Where both know them."""
    for mine, its in pairs:
        ours, theirs = mine.busy_cycles_per_reply, its.busy_cycles_per_reply
        if ours is not None and theirs:
            yield ours / theirs


def _ratio(values: Sequence[float]) -> PairRatio:
    if not values:
        return PairRatio()
    kind, ends = interval(values)
    return PairRatio(**ends.model_dump(), interval=kind, pairs=tuple(values))
