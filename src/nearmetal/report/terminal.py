"""Tables for the terminal, with labels shortened to their kind.

In a narrow terminal the least important columns are left out (layout.py); the row, its rate and its
notes stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from nearmetal.report import caveats
from nearmetal.report.against import Against, PairRatio
from nearmetal.report.layout import Column, kept, least, natural
from nearmetal.report.model import Report
from nearmetal.report.paper import lettered, sided
from nearmetal.report.row import Row
from nearmetal.report.words import (
    at,
    count,
    cycles,
    load,
    loss,
    microseconds,
    name,
    paired,
    ratio,
)
from nearmetal.spec.experiment import Spec

_PAPER = "Measured with an echo: beside kv only for its order of magnitude."
_EDGES = 3  # width of a table's edges, without the gaps between its columns
STYLES = {"ok": "", "skipped": "dim", "failed": "bold red"}
SHORT = {"generator-bound": "floor"}
_ROW = (Column("row"), Column("service"))
_AT = Column("at", right=True)
_RATE = (Column("replies/s", right=True), Column("low - high", 6, right=True))
_LATENCY = (Column("p50 µs", 5, right=True), Column("p99 µs", 4, right=True))
_CYCLES = Column("cycles", 2, right=True)
_NOTES = Column("notes", 3, wraps=10)
_CLOSED = (*_RATE, *_LATENCY, _CYCLES)
_MEMCACHED = Column("x memc.", 1, right=True)
_PAPERS = Column("paper*", 1, right=True)
_OPEN = (
    Column("replies/s", right=True),
    Column("loss", right=True),
    *_LATENCY,
    Column("p99.9 µs", 6, right=True),
    _CYCLES,
)


def table(report: Report, width: int | None = None) -> Table:
    """Table of a run's rows, in the spec's order, also those that could not be measured."""
    sweep = report.spec.sweep
    opened = sweep is not None and sweep.axis == "rate"
    beside_paper = _beside_paper(report)
    last = _PAPERS if beside_paper else _MEMCACHED
    figures = _OPEN if opened else (*_CLOSED, last)
    columns = (*_ROW, *((_AT,) if sweep else ()), *figures, _NOTES)
    shared = caveats.shared(report.rows)
    rows = []
    for row in report.rows:
        place = () if sweep is None else (at(row),)
        told = _open(row) if opened else _closed(row, beside_paper=beside_paper)
        rows.append((row.rung, row.service, *place, *told, _notes(row, shared)))
    styles = [STYLES[row.status] for row in report.rows]
    return _styled(_title(report), _caption(report), columns, rows, styles, width)


def _styled(
    title: Text | str,
    caption: Iterable[str],
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    styles: Sequence[str],
    width: int | None,
) -> Table:
    """Make a styled table of the columns for which there is room."""
    result = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption=Text("\n".join(caption)),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    room = None if width is None else width - _EDGES
    places = kept(columns, rows, room)
    tight = room is not None and least(columns, rows, places) > room
    for place in places:
        column = columns[place]
        justify: JustifyMethod = "right" if column.right else "left"
        # The first column, a name, is wrapped only if the table is still too wide.
        broken = column.wraps > 0 or (tight and place == 0)
        whole = None if broken else natural(columns, rows, place)
        result.add_column(
            column.name, justify=justify, no_wrap=not broken, min_width=whole, overflow="fold"
        )
    for row, style in zip(rows, styles, strict=True):
        # As Text, so that brackets in a reason are not taken as markup.
        result.add_row(*(Text(row[place]) for place in places), style=style)
    return result


def _title(report: Report) -> Text:
    machine = report.machine.get("cpu") or "machine unknown"
    state = f"\nPARTIAL: {report.reason or 'no reason was recorded'}" if report.partial else ""
    return Text(f"{report.run} on {machine}{state}")


_RATIOS = (
    Column("ratio", wraps=16),
    Column("service", 2),
    Column("ours", right=True),
    Column("paper*", right=True),
    Column("ours / paper", 1, right=True),
    Column("cycles", 3, right=True),
    Column("between", 4),
)


def ratios(report: Report, width: int | None = None) -> Table | None:
    """Table of our ratios beside the paper's; None: the run is not of the paper's workload."""
    if not _beside_paper(report) or not report.paper_ratios:
        return None
    letters = lettered(report.paper_ratios)
    rows = []
    for each in report.paper_ratios:
        beneath = each.reason or each.note.split(":")[0]
        cells = (
            "\n".join(filter(None, (f"{each.place}: {each.question}", beneath))),
            each.service,
            sided(each) + ratio(each.ours),
            ratio(each.paper),
            ratio(each.of_paper),
            ratio(each.by_busy_cycles),
            " ".join(letters[sentence] for sentence in each.gap),
        )
        rows.append(cells)
    title = "Ratios of rows of this run, beside the paper's"
    caption = (f"{letter}: {each}" for each, letter in letters.items())
    return _styled(title, caption, _RATIOS, rows, [""] * len(rows), width)


_PAIRS = (
    Column("row"),
    Column("pairs", 4, right=True),
    Column("rate", right=True),
    Column("low - high", 2, right=True),
    Column("cycles", 1, right=True),
    Column("low - high", 3, right=True),
    Column("notes", 5, wraps=10),
)


def pairs(report: Report, width: int | None = None) -> Table | None:
    """Table of our rows over another tree's; None: no other tree was measured."""
    found = report.against
    if found is None:
        return None
    rows = []
    for row in found.rows:
        notes = row.status if row.status != "ok" else "floor" if row.floor else ""
        sides = (*_sides(row.by_rate), *_sides(row.by_busy_cycles))
        rows.append((row.row, str(row.pairs), *sides, notes))
    styles = [STYLES[row.status] for row in found.rows]
    return _styled(f"against {found.name}", _about_pairs(found), _PAIRS, rows, styles, width)


def _sides(found: PairRatio) -> tuple[str, str]:
    if found.median is None:
        return "", ""
    return paired(found.median), f"{paired(found.low)} - {paired(found.high)}"


def _about_pairs(found: Against) -> Iterator[str]:
    for row in found.rows:
        if row.status != "ok":
            yield f"{row.row} {row.status}: {row.reason}"
    yield (
        f"Ours over {found.name}, pair by pair, the median; cycles: busy ones per reply, below 1 is"
        " cheaper. low - high: all pairs; from 7 pairs on the 95 % interval of the median. floor:"
        " compare the cycles."
    )


def _beside_paper(report: Report) -> bool:
    return report.spec.workload.name == "paper" and report.spec.sweep is None


def _closed(row: Row, *, beside_paper: bool) -> tuple[str, ...]:
    rate = row.replies_per_s
    known = rate.low is not None and rate.high is not None
    return (
        ("≥ " if row.generator_bound else "") + count(rate.median),
        f"{count(rate.low)} - {count(rate.high)}" if known else "",
        microseconds(row.latency_ns.p50),
        microseconds(row.latency_ns.p99),
        cycles(row.busy_cycles_per_reply),
        _last(row, beside_paper=beside_paper),
    )


def _last(row: Row, *, beside_paper: bool) -> str:
    if beside_paper:
        return count(row.paper.replies_per_s if row.paper else None)
    return ratio(row.vs_memcached.per_sut_core_s) + ("†" if caveats.across_wires(row) else "")


def _open(row: Row) -> tuple[str, ...]:
    latency = row.latency_ns
    return (
        count(row.replies_per_s.median),
        loss(row.loss_ratio.median),
        *(microseconds(value) for value in (latency.p50, latency.p99, latency.p999)),
        cycles(row.busy_cycles_per_reply),
    )


def _notes(row: Row, shared: tuple[str, ...]) -> str:
    if row.status != "ok":
        return row.status
    kinds = (caveats.kind(label) for label in row.labels if label not in shared)
    return ", ".join(SHORT.get(kind, kind) for kind in kinds)


def _asked(spec: Spec) -> str:
    files = ", ".join(f"{each.name} of {Path(each.own.path).name}" for each in spec.own if each.own)
    return files or f"workload {spec.workload.name}"


def _caption(report: Report) -> Iterator[str]:
    for row in report.rows:
        if row.status != "ok":
            yield f"{row.rung} {row.service} {row.status}: {row.reason}"
    for label in caveats.shared(report.rows):
        yield f"Every measured row: {label}"
    spec = report.spec
    yield (
        f"{load(spec)}; {_asked(spec)}, {spec.measured_s:g} s a round; right "
        "answers only. ≥, floor: the generator was the limit."
    )
    if _beside_paper(report):
        source = next((row.paper.source for row in report.rows if row.paper), "no figure")
        yield f"{footnote(report.rows)} * {source}. {_PAPER}"
        return
    yield (
        f"{footnote(report.rows)} x memc.: replies per second of that core, "
        "over memcached's; †: on another wire than memcached. Notes in words: report.html."
    )


def footnote(rows: Iterable[Row]) -> str:
    """Explain the column cycles, and name the rows in which it includes empty polls."""
    whole = [name(row) for row in rows if caveats.counts_whole_time(row)]
    of_images = f"; of {', '.join(whole)} all, empty polls too" if whole else ""
    return f"cycles: busy ones of the SUT's core per reply{of_images}."
