"""The table a terminal shows: narrow enough for 100 columns, labels by their kind."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from nearmetal import labels
from nearmetal.report.model import Report
from nearmetal.report.words import count, microseconds, per_million, ratio
from nearmetal.rows import Row

STYLES = {"ok": "", "skipped": "dim", "failed": "bold red"}


def table(report: Report) -> Table:
    """Rows of a run, in the spec's order; what could not be measured keeps its row."""
    result = Table(title=_title(report), caption="\n".join(_caption(report)), title_justify="left")
    result.caption_justify = "left"
    result.add_column("row", no_wrap=True)
    result.add_column("service", no_wrap=True)
    for name in ("replies/s", "low - high", "p50 µs", "p99 µs", "CPU s/M", "per core-s"):
        result.add_column(name, justify="right", no_wrap=True)
    result.add_column("notes", ratio=1)
    for row in report.rows:
        result.add_row(*_cells(row), style=STYLES[row.status])
    return result


def _title(report: Report) -> str:
    machine = report.machine.get("cpu_model") or "machine unknown"
    state = f" - PARTIAL: {report.reason}" if report.partial else ""
    return f"{report.run} on {machine}{state}"


def _cells(row: Row) -> Iterator[Text | str]:
    rate = row.replies_per_s
    yield row.rung
    yield row.service
    yield count(rate.median)
    yield f"{count(rate.low)} - {count(rate.high)}" if rate.low is not None else ""
    yield microseconds(row.latency_ns.p50)
    yield microseconds(row.latency_ns.p99)
    yield per_million(row.cpu_s_per_million.sut)
    yield ratio(row.vs_memcached.per_sut_core_s)
    if row.status == "ok":
        yield Text(", ".join(labels.kind(label) for label in row.labels))
    else:
        yield Text(f"{row.status}: {row.reason}")


def _caption(report: Report) -> Iterator[str]:
    spec = report.spec
    yield (
        f"Closed loop, window {spec.window}, workload {spec.workload.name}; rounds of "
        f"{spec.measured_s:g} s; right answers only."
    )
    yield "CPU s/M: seconds of the SUT's core per million replies. per core-s: replies per second"
    yield "of that core, over memcached's. Notes in full: report.html, report.json."
