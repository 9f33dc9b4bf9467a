"""The table a terminal shows: narrow enough for 100 columns, labels by their kind."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from nearmetal.report import caveats
from nearmetal.report.against import Against, PairRatio
from nearmetal.report.model import Report
from nearmetal.report.paper import lettered, sided
from nearmetal.report.row import Row
from nearmetal.report.words import at, count, cycles, load, loss, microseconds, paired, ratio

_PAPER = "Of an echo: beside kv only for its order of magnitude."
COLUMNS = 110  # where nothing is cut or wrapped
STYLES = {"ok": "", "skipped": "dim", "failed": "bold red"}
SHORT = {"generator-bound": "floor"}
CLOSED = ("replies/s", "low - high", "p50 µs", "p99 µs", "cycles", "x memc.")
PAPER = (*CLOSED[:-1], "paper*")
OPEN = ("replies/s", "loss", "p50 µs", "p99 µs", "p99.9 µs", "cycles")


def table(report: Report) -> Table:
    """Rows of a run, in the spec's order; what could not be measured keeps its row."""
    result = Table(
        title=_title(report),
        title_justify="left",
        title_style="bold",
        caption=Text("\n".join(_caption(report))),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    sweep = report.spec.sweep
    opened = sweep is not None and sweep.axis == "rate"
    result.add_column("row", no_wrap=True)
    result.add_column("service", no_wrap=True)
    if sweep is not None:
        result.add_column("at", justify="right", no_wrap=True)
    beside_paper = _beside_paper(report)
    for name in OPEN if opened else PAPER if beside_paper else CLOSED:
        result.add_column(name, justify="right", no_wrap=True)
    result.add_column("notes", min_width=10)
    shared = caveats.shared(report.rows)
    for row in report.rows:
        place = () if sweep is None else (at(row),)
        figures = _open(row) if opened else _closed(row, beside_paper=beside_paper)
        cells = (row.rung, row.service, *place, *figures, _notes(row, shared))
        # Text, so that a bracket in a reason is no markup.
        result.add_row(*(Text(cell) for cell in cells), style=STYLES[row.status])
    return result


def _title(report: Report) -> Text:
    machine = report.machine.get("cpu") or "machine unknown"
    state = f"\nPARTIAL: {report.reason or 'no reason was recorded'}" if report.partial else ""
    return Text(f"{report.run} on {machine}{state}")


def ratios(report: Report) -> Table | None:
    """The paper's ratios beside ours, where the run is of its table."""
    if not _beside_paper(report) or not report.paper_ratios:
        return None
    letters = lettered(report.paper_ratios)
    result = Table(
        title="Ratios of rows of this run, beside the paper's",
        title_justify="left",
        title_style="bold",
        caption=Text("\n".join(f"{letter}: {each}" for each, letter in letters.items())),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    result.add_column("ratio", max_width=44)
    result.add_column("service", no_wrap=True)
    for column in ("ours", "paper*", "ours / paper", "cycles"):
        result.add_column(column, justify="right", no_wrap=True)
    result.add_column("between", min_width=10)
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
        result.add_row(*(Text(cell) for cell in cells))
    return result


def pairs(report: Report) -> Table | None:
    """Ours over another tree's programs, where those were measured too."""
    found = report.against
    if found is None:
        return None
    result = Table(
        title=f"against {found.name}",
        title_justify="left",
        title_style="bold",
        caption=Text("\n".join(_about_pairs(found))),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    result.add_column("row", no_wrap=True)
    for column in ("pairs", "rate", "low - high", "cycles", "low - high"):
        result.add_column(column, justify="right", no_wrap=True)
    result.add_column("notes", min_width=10)
    for row in found.rows:
        notes = row.status if row.status != "ok" else "floor" if row.floor else ""
        sides = (*_sides(row.by_rate), *_sides(row.by_busy_cycles))
        cells = (row.row, str(row.pairs), *sides, notes)
        result.add_row(*(Text(cell) for cell in cells), style=STYLES[row.status])
    return result


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
        " cheaper. low - high: all pairs; from 7 on the 95 % interval of the median. floor: the"
        " cycles tell."
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


def _caption(report: Report) -> Iterator[str]:
    for row in report.rows:
        if row.status != "ok":
            yield f"{row.rung} {row.service} {row.status}: {row.reason}"
    for label in caveats.shared(report.rows):
        yield f"Every measured row: {label}"
    spec = report.spec
    yield (
        f"{load(spec)}; workload {spec.workload.name}, {spec.measured_s:g} s a round; right "
        "answers only. ≥, floor: the generator was the limit."
    )
    if _beside_paper(report):
        source = next((row.paper.source for row in report.rows if row.paper), "no figure")
        yield f"cycles: busy ones of the SUT's core per reply. * {source}. {_PAPER}"
        return
    yield (
        "cycles: busy ones of the SUT's core per reply. x memc.: replies per second of that core, "
        "over memcached's; †: on another wire than memcached. Notes in words: report.html."
    )
