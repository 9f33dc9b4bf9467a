"""Ratios of pairs of rows that answer a question together, by rate and by cycles.

A rate that is a floor makes the ratio a bound: "at least" if the row's rate is the floor, "at most"
if the other row's is. If both are floors, only the cycles can be compared. A ratio of rows on
different wires includes the difference of the wires.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nearmetal.report.caveats import counts_whole_time
from nearmetal.report.row import Row
from nearmetal.report.words import name
from nearmetal.samples import Frozen

TESTPMD = "testpmd echo"

# Questions: the ring without DPDK, lwIP against the kernel's stack, lwIP against no stack; then, in
# a virtual machine, a service against header swaps only, and no stack against lwIP.
PAIRS = (
    ("ukp-netdev echo", "host-dpdk echo"),
    ("ukp-netdev kv", "host-dpdk kv"),
    ("ukp-lwip kv", "host-sock kv"),
    ("ukp-lwip echo", "ukp-netdev echo"),
    ("uk-netdev echo", "limit-uk echo"),
    ("uk-netdev kv", "limit-uk echo"),
    ("uk-netdev echo", "uk-lwip echo"),
    ("uk-netdev kv", "uk-lwip kv"),
)


class Comparison(Frozen):
    """One row over another of the same run and point."""

    row: str
    over: str
    by_rate: float
    by_busy_cycles: float | None  # busy cycles per reply: less than 1 is cheaper
    floors: tuple[str, ...]  # names of the rows whose rate is a floor
    wires: tuple[str, ...]  # one, or first the row's, then the other's
    paper: float | None = None  # the same ratio of the paper's figures, mostly of an echo
    emulated: bool = False  # TCG: instructions are counted, not cycles
    whole: tuple[str, ...] = ()  # names of the rows whose cycles are their core's whole time


def comparisons(rows: Sequence[Row]) -> Iterator[Comparison]:
    """Compare PAIRS, our rows with testpmd, and images with our rows.

    Our rows are compared with testpmd on its wire and point. An image of a spec is compared with
    each of our rows of the same service on its wire and point.
    """
    closed = {
        name(row): row
        for row in rows
        if row.status == "ok" and row.loop == "closed" and row.replies_per_s.median
    }
    known = [pair for pair in PAIRS if {*pair} <= {*closed}]
    pairs = [(closed[above], closed[below]) for above, below in known]
    base = closed.get(TESTPMD)
    if base is not None:
        ours = (row for row in closed.values() if row.place != "reference")
        pairs += [(row, base) for row in ours if (row.wire, row.point) == (base.wire, base.point)]
    pairs += [
        (image, row)
        for image in closed.values()
        for row in closed.values()
        if _are_alike(image, row)
    ]
    papers = {row.rung: row.paper.replies_per_s for row in rows if row.paper}
    for row, over in pairs:
        yield _compare(row, over, papers)


def sentence(found: Comparison) -> str:
    """Write a comparison as a sentence."""
    does = "testpmd bounces" if found.over == TESTPMD else f"{found.over} does"
    times = f"{_side(found)}{found.by_rate:.2f} times what {does}"
    cycles = ""
    if found.by_busy_cycles is not None:
        cycles = f", for {found.by_busy_cycles:.2f} times its busy cycles per reply"
        if found.whole:
            cycles += f" ({' and '.join(found.whole)}: all cycles, empty polls too)"
    paper = f"; the paper has {found.paper:.0f}" if found.paper is not None else ""
    tcg = " (TCG counts instructions)" if found.emulated else ""
    both = " (both rates are floors: compare the cycles)" if len(found.floors) > 1 else ""
    wires = f", each on its own wire ({', '.join(found.wires)})" if len(found.wires) > 1 else ""
    return f"{found.row} answers {times}{cycles}{wires}{both}{tcg}{paper}."


def _are_alike(image: Row, row: Row) -> bool:
    """Whether an image is to be compared with one of our rows."""
    same = (image.wire, image.point, image.service) == (row.wire, row.point, row.service)
    return same and image.place == "image" and row.place not in ("image", "reference")


def _side(found: Comparison) -> str:
    """Prefix of a ratio with exactly one floor; else an empty text."""
    if len(found.floors) != 1:
        return ""
    return "at least " if found.floors[0] == found.row else "at most "


def _compare(row: Row, over: Row, papers: Mapping[str, int]) -> Comparison:
    rate, base = row.replies_per_s.median, over.replies_per_s.median
    assert rate and base
    ours, theirs = row.busy_cycles_per_reply, over.busy_cycles_per_reply
    return Comparison(
        row=name(row),
        over=name(over),
        by_rate=rate / base,
        by_busy_cycles=ours / theirs if ours is not None and theirs else None,
        floors=tuple(name(each) for each in (row, over) if each.generator_bound),
        wires=tuple(dict.fromkeys((row.wire, over.wire))),
        paper=papers[row.rung] / papers[over.rung]
        if papers.keys() >= {row.rung, over.rung}
        else None,
        emulated="tcg" in (row.accelerator, over.accelerator),
        whole=tuple(name(each) for each in (row, over) if counts_whole_time(each)),
    )
