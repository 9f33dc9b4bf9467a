"""Figures with one line per row: throughput, latency, cycles, and CPU time by kind.

Only measured rows of the closed loop are drawn; sweeps have figures of their own (sweeps.py). Rows
that differ by more than LINEAR_MAX get a logarithmic axis and marks in place of bars: a bar is read
by its length, and a length on such an axis means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nearmetal.report import drawing, sweeps
from nearmetal.report.drawing import INK, WIDTH_IN, Drawing, beside, few_ticks, legend
from nearmetal.report.model import Report
from nearmetal.report.row import Row
from nearmetal.report.words import count, microseconds, name
from nearmetal.spec import services
from nearmetal.topology.known import find

SPLIT_COLOURS = {"user": "#0072b2", "system": "#e69f00", "softirq": "#009e73", "irq": "#cc79a7"}
PERCENTILES = {"p50": ("o", "median"), "p99": ("D", "99 %"), "p999": ("|", "99.9 %")}
CUT_AT = 3.0
LINEAR_MAX = 20.0  # largest / smallest; above it small bars would be invisible
LOGARITHMIC = "; logarithmic: equal steps are equal factors"
ROW_IN, REST_IN = 0.27, 1.05

Draw = Callable[[Axes, Sequence[Row]], None]


def drawings(report: Report) -> list[Drawing]:
    """Figures of a report, in the page's order."""
    measured = [row for row in report.rows if row.status == "ok" and row.loop == "closed"]
    axis = report.spec.sweep.axis if report.spec.sweep else None
    if axis in ("keys", "window"):  # the points of an axis are a curve, not a list
        return sweeps.drawings(report)
    kernel = [row for row in measured if not find(row.wire).shares_memory]
    wanted: list[tuple[str, str, Draw, list[Row]]] = [
        (
            "throughput",
            "Throughput: median over the rounds; whiskers show the interval. Hatched or hollow: a "
            "floor.",
            throughput,
            measured,
        ),
        (
            "latency",
            "Latency: from sending a request to its right reply, all rounds together.",
            latency,
            [row for row in measured if row.latency_ns.p50 is not None],
        ),
        (
            "cycles",
            "Cost: TSC cycles of the core under test per right reply, without empty polls.",
            cycles,
            [row for row in measured if row.busy_cycles_per_reply],
        ),
        (
            "cpu",
            "Cost by kind: CPU time of the core under test, for rows that sleep in the kernel.",
            cpu,
            [row for row in kernel if row.cpu_s_per_million.sut is not None],
        ),
    ]
    listed = [_listed(title, caption, draw, rows) for title, caption, draw, rows in wanted if rows]
    return sweeps.drawings(report) + listed


def _colour(service: str) -> str:
    return f"#{services.find(service).colour}"


def svgs(report: Report) -> list[tuple[str, str]]:
    """Caption and SVG of each figure, for the page."""
    return [(each.caption, drawing.svg(each)) for each in drawings(report)]


def write_pdf(report: Report, folder: Path) -> None:
    """Write each figure as folder/<name>.pdf."""
    folder.mkdir(exist_ok=True)
    for each in drawings(report):
        drawing.pdf(each, folder)


def throughput(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw median rates with their intervals; floors are hatched, ceilings are lines."""
    rates = [row.replies_per_s.median for row in rows if row.replies_per_s.median]
    logarithmic = _spread(rates)
    if logarithmic:
        _log_axis(axes)
    for place, row in enumerate(rows):
        rate = row.replies_per_s
        if rate.median is None or rate.low is None or rate.high is None:
            continue
        colour, floor = _colour(row.service), bool(row.generator_bound)
        _mark(axes, colour, place, rate.median, bar=not logarithmic, floor=floor)
        axes.errorbar(
            rate.median,
            place,
            xerr=[[max(0.0, rate.median - rate.low)], [max(0.0, rate.high - rate.median)]],
            fmt="none",
            ecolor=INK,
            elinewidth=1,
            capsize=2.5,
        )
        beside(axes, rate.high, place, ("≥ " if row.generator_bound else "") + count(rate.median))
    ceilings = {row.generator_ceiling_per_s for row in rows if row.generator_ceiling_per_s}
    for ceiling in ceilings:
        axes.axvline(ceiling, color=INK, linestyle=(0, (4, 3)), linewidth=0.8, zorder=0)
    if logarithmic:
        few_ticks(axes.xaxis, count)
    else:
        axes.set_xlim(0, axes.get_xlim()[1] * 1.09)
        axes.xaxis.set_major_formatter(lambda value, _: "0" if value == 0 else count(value))
    dashed = ", dashed: the generator's ceiling" if ceilings else ""
    axes.set_xlabel(f"right replies per second{dashed}{LOGARITHMIC if logarithmic else ''}")


def latency(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw three percentiles per row, on a logarithmic axis."""
    for place, row in enumerate(rows):
        known = [(at, getattr(row.latency_ns, at)) for at in PERCENTILES]
        points = [(at, value / 1e3) for at, value in known if value is not None]
        if not points:
            continue
        colour = _colour(row.service)
        axes.plot(
            [value for _, value in points], [place] * len(points), color=colour, linewidth=1.5
        )
        for at, value in points:
            marker, _ = PERCENTILES[at]
            axes.plot(value, place, marker, color=colour, markersize=6, markeredgewidth=2)
        beside(axes, points[-1][1], place, microseconds(row.latency_ns.p999))
    for marker, label in PERCENTILES.values():
        axes.plot([], [], marker, color=INK, label=label, markersize=6, markeredgewidth=2)
    axes.set_xscale("log")
    axes.margins(x=0.1)
    few_ticks(axes.xaxis, lambda value: f"{value:,g}")
    axes.set_xlabel("latency of right replies under full load, µs (the number is 99.9 %)")
    legend(axes, len(PERCENTILES))


def cycles(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw busy cycles per reply, which neither an idle core nor a slow generator changes."""
    known = [row.busy_cycles_per_reply or 0.0 for row in rows]
    logarithmic = _spread(known)
    if logarithmic:
        _log_axis(axes)
    for place, (row, value) in enumerate(zip(rows, known, strict=True)):
        _mark(axes, _colour(row.service), place, value, bar=not logarithmic)
        beside(axes, value, place, f"{value:,.0f}")
    if logarithmic:
        few_ticks(axes.xaxis, lambda value: f"{value:,.0f}")
    else:
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel(f"busy cycles per right reply{LOGARITHMIC if logarithmic else ''}")


def cpu(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw the seconds of the SUT's core per million replies, by kind.

    One slow rung would make all other bars tiny: a bar longer than CUT_AT times the median is cut
    at the edge, and its number says so.
    """
    totals = [row.cpu_s_per_million.sut or 0.0 for row in rows]
    edge = min(max(totals), CUT_AT * median(totals)) or 1.0
    left = [0.0] * len(rows)
    for kind, colour in SPLIT_COLOURS.items():
        parts = [getattr(row.cpu_split_s_per_million, kind) or 0.0 for row in rows]
        if any(parts):
            axes.barh(range(len(rows)), parts, left=left, height=0.68, color=colour, label=kind)
        left = [so_far + part for so_far, part in zip(left, parts, strict=True)]
    for place, total in enumerate(totals):
        cut = " (bar cut)" if total > edge else ""
        beside(axes, min(total, edge), place, f"{total:.2f}{cut}")
    axes.set_xlim(0, edge)
    axes.set_xlabel("CPU seconds of the SUT's core per million replies (= µs per reply)")
    legend(axes, len(SPLIT_COLOURS))


def _spread(values: Sequence[float]) -> bool:
    known = [value for value in values if value > 0]
    return bool(known) and max(known) / min(known) > LINEAR_MAX


def _log_axis(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.margins(x=0.12)


def _mark(
    axes: Axes, colour: str, place: int, value: float, *, bar: bool, floor: bool = False
) -> None:
    """Draw a bar (a floor is hatched) or a mark (a floor is hollow and points right)."""
    if not bar:
        fill = "none" if floor else colour
        shape = ">" if floor else "o"
        axes.plot(value, place, shape, color=colour, markerfacecolor=fill, markersize=7)
        return
    axes.barh(
        place,
        value,
        height=0.68,
        color=colour,
        hatch="////" if floor else None,
        edgecolor="white" if floor else colour,
        linewidth=0,
    )


def _listed(title: str, caption: str, draw: Draw, rows: Sequence[Row]) -> Drawing:
    """Make a figure whose vertical axis lists the rows."""

    def make() -> Figure:
        figure = Figure(figsize=(WIDTH_IN, REST_IN + ROW_IN * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        draw(axes, rows)
        axes.set_yticks(range(len(rows)), [name(row) for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(rows) - 0.4, -0.6)  # first row on top
        return figure

    return Drawing(title, caption, make)
