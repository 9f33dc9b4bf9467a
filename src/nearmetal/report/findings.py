"""Findings: the main results of a run as sentences, as far as its rows support them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nearmetal.report.caveats import MEMCACHED_RUNG, across_wires
from nearmetal.report.comparisons import comparisons, sentence
from nearmetal.report.row import Row
from nearmetal.report.words import UNKNOWN, at, count, loss, microseconds, name
from nearmetal.spec.rungs import find
from nearmetal.spec.sweep import Axis


def findings(rows: Sequence[Row], axis: Axis | None) -> list[str]:
    """Sentences about the rows of a run; axis: of its sweep."""
    ok = [row for row in rows if row.status == "ok"]
    if axis in ("keys", "window", "generators", "edition"):
        found = list(_along(ok, axis))
    else:
        found = [*_over_memcached(ok), *map(sentence, comparisons(ok))]
    found += [_at_load(row) for row in ok if row.loop == "open"]
    bad = [name(row) for row in rows if row.status == "failed"]
    return [*found, f"Failed: {', '.join(bad)}."] if bad else found


def _over_memcached(rows: Sequence[Row]) -> Iterator[str]:
    compared = [row for row in rows if row.vs_memcached.by_rate is not None]
    bound = {row.rung for row in compared if row.generator_bound}
    ranked = [row for row in rows if row.place != "reference" and row.vs_memcached.per_sut_core_s]
    for row in sorted(ranked, key=lambda row: -(row.vs_memcached.per_sut_core_s or 0)):
        floors = [rung for rung in (row.rung, MEMCACHED_RUNG) if rung in bound]
        floor = f" (a floor: the rate of {' and '.join(floors)})" if floors else ""
        theirs = find(MEMCACHED_RUNG).wire
        wires = f", each on its own wire ({row.wire}, {theirs})" if across_wires(row) else ""
        yield (
            f"{row.rung} answers {_times(row.vs_memcached.per_sut_core_s)} as many requests "
            f"per second of its core as memcached, and {_times(row.vs_memcached.by_rate)} "
            f"by rate{floor}{wires}."
        )


def _along(rows: Sequence[Row], axis: Axis | None) -> Iterator[str]:
    """Compare the first and last point of each row on the axis."""
    curves: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        curves.setdefault((row.rung, row.service), []).append(row)
    for (rung, service), points in curves.items():
        ends = sorted(points, key=_place)
        first, last = ends[0], ends[-1]
        before, after = first.replies_per_s.median, last.replies_per_s.median
        if len(points) < 2 or not before or not after:
            continue
        change = "falls" if after < before else "rises"
        yield (
            f"{rung} {service}: from {at(first)} to {at(last)} the rate {change} by a factor of "
            f"{max(before, after) / min(before, after):.2f}, from {count(before)} to "
            f"{count(after)} replies/s{_floors(first, last, axis)}."
        )


def _place(row: Row) -> float:
    """The place of a row on its axis; editions have no order of their own: the slowest first."""
    if row.point.edition is not None:
        return row.replies_per_s.median or 0.0
    return row.point.keys or row.point.generators or row.window


def _floors(first: Row, last: Row, axis: Axis | None) -> str:
    held = [at(row) for row in (first, last) if row.generator_bound]
    if not held or axis == "window":  # a small window is meant to hold a row up
        return ""
    return f" (at {' and '.join(held)} a floor: the generator was the limit)"


def _at_load(row: Row) -> str:
    latency, lost = row.latency_ns, row.loss_ratio
    return (
        f"{name(row)} ({count(row.intended_per_s)}/s): p50 {microseconds(latency.p50)}, "
        f"p99 {microseconds(latency.p99)}, p99.9 {microseconds(latency.p999)} µs; loss "
        f"{loss(lost.median)} (median of {row.rounds} trials; {loss(lost.low)} to "
        f"{loss(lost.high)})."
    )


def _times(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f} times"
