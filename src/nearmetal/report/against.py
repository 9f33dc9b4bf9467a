"""Ratios of our rows over the same rows with another tree's programs: the effect of a change.

A pair is two trials of one row and round, one right after the other, so that the machine's speed is
similar in both. A ratio, ours over the other's, is computed for each pair; then their median is
taken. A pair counts only if neither trial has a fault.
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
    pairs: tuple[float, ...] = ()  # ratio of each pair, in the order of the rounds


class PairedRow(Frozen):
    """Ratios of one row over the other tree's."""

    row: str
    rung: str
    service: str
    point: Point
    status: Status
    reason: str = ""
    pairs: int = 0
    by_rate: PairRatio = PairRatio()  # closed loop: an open one sets the rate itself
    by_busy_cycles: PairRatio = PairRatio()  # per reply: less than 1 is cheaper
    floor: bool | None = None  # our rate was limited from outside: compare by_busy_cycles


class Against(Frozen):
    """Comparison of a run's rows with those of another tree's programs."""

    name: str
    commit: str | None
    dirty: bool
    rows: tuple[PairedRow, ...]


@dataclass(frozen=True)
class Other:
    """The other tree, and the trials of both trees."""

    name: str
    commit: str | None
    dirty: bool
    unpaired: Mapping[str, str] = field(default_factory=dict)  # "rung service" -> why
    samples: Sequence[Sample] = ()
    reason: str = ""  # why the run ended early


def against(other: Other, rows: Sequence[Row]) -> Against:
    """Compare each of our rows, also those without a ratio."""
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
    """Status and reason of a pair; a row that failed on either side has no ratio."""
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
    assert sample.counts is not None  # a sample without counts has a fault
    return sample.counts.answered * 1e9 / sample.counts.duration_ns


def _cycles(pairs: Sequence[tuple[Sample, Sample]]) -> Iterator[float]:
    """Ratios of busy cycles of the pairs in which both are known."""
    for mine, its in pairs:
        ours, theirs = mine.busy_cycles_per_reply, its.busy_cycles_per_reply
        if ours is not None and theirs:
            yield ours / theirs


def _ratio(values: Sequence[float]) -> PairRatio:
    if not values:
        return PairRatio()
    kind, ends = interval(values)
    return PairRatio(**ends.model_dump(), interval=kind, pairs=tuple(values))
