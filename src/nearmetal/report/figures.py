"""The three figures of a report, as SVG for the page and as PDF for papers.

SVG text stays text, and its ink is the page's own (currentColor), so that a figure reads well on
light and dark ground and on paper. Only rows that were measured are drawn.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nearmetal.report.model import Report
from nearmetal.report.words import count, microseconds
from nearmetal.rows import Row

INK = "#010203"  # stands for the page's text colour until the SVG is written
SERVICE_COLOURS = {"kv": "#0072b2", "echo": "#7fb8dc"}
SPLIT_COLOURS = {"user": "#0072b2", "system": "#e69f00", "softirq": "#009e73", "irq": "#cc79a7"}
PERCENTILES = {"p50": ("o", "median"), "p99": ("D", "99 %"), "p999": ("|", "99.9 %")}
CUT_AT = 3.0
WIDTH_IN, ROW_IN, REST_IN = 8.6, 0.27, 1.05
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # real fonts: papers must embed them
}

Draw = Callable[[Axes, Sequence[Row]], None]


def svgs(report: Report) -> dict[str, str]:
    """Each figure by its name, ready to stand in a page."""
    return {name: _svg(name, draw, rows) for name, draw, rows in _drawable(report)}


def write_pdf(report: Report, folder: Path) -> None:
    """figures/<name>.pdf of each figure."""
    folder.mkdir(exist_ok=True)
    for name, draw, rows in _drawable(report):
        with matplotlib.rc_context(STYLE):
            _figure(draw, rows).savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})


def throughput(axes: Axes, rows: Sequence[Row]) -> None:
    """Median rates with their intervals; a floor is hatched; the ceiling is a line."""
    for place, row in enumerate(rows):
        rate = row.replies_per_s
        if rate.median is None or rate.low is None or rate.high is None:
            continue
        floor = bool(row.generator_bound)
        axes.barh(
            place,
            rate.median,
            height=0.68,
            color=SERVICE_COLOURS[row.service],
            hatch="////" if floor else None,
            edgecolor="white" if floor else SERVICE_COLOURS[row.service],
            linewidth=0,
            xerr=[[max(0.0, rate.median - rate.low)], [max(0.0, rate.high - rate.median)]],
            error_kw={"ecolor": INK, "elinewidth": 1, "capsize": 2.5},
        )
        text = ("≥ " if floor else "") + count(rate.median)
        _beside(axes, rate.high, place, text)
    ceilings = {row.generator_ceiling_per_s for row in rows if row.generator_ceiling_per_s}
    for ceiling in ceilings:
        axes.axvline(ceiling, color=INK, linestyle=(0, (4, 3)), linewidth=0.8, zorder=0)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.09)
    axes.xaxis.set_major_formatter(lambda value, _: "0" if value == 0 else count(value))
    axes.set_xlabel(
        "right replies per second" + (" (dashed: generator ceiling)" if ceilings else "")
    )


def latency(axes: Axes, rows: Sequence[Row]) -> None:
    """Three percentiles a row, on a logarithmic axis."""
    for place, row in enumerate(rows):
        known = [(name, getattr(row.latency_ns, name)) for name in PERCENTILES]
        points = [(name, value / 1e3) for name, value in known if value is not None]
        if not points:
            continue
        colour = SERVICE_COLOURS[row.service]
        axes.plot(
            [value for _, value in points], [place] * len(points), color=colour, linewidth=1.5
        )
        for name, value in points:
            marker, _ = PERCENTILES[name]
            axes.plot(value, place, marker, color=colour, markersize=6, markeredgewidth=2)
        _beside(axes, points[-1][1], place, microseconds(row.latency_ns.p999))
    for marker, label in PERCENTILES.values():
        axes.plot([], [], marker, color=INK, label=label, markersize=6, markeredgewidth=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.margins(x=0.1)
    axes.set_xlabel("latency of right replies under full load, µs (the figure is 99.9 %)")
    _legend(axes, len(PERCENTILES))


def cpu(axes: Axes, rows: Sequence[Row]) -> None:
    """Where the seconds of the SUT's core went, per million replies.

    One slow rung would flatten all others: a bar longer than CUT_AT times the median is cut at the
    edge, and its figure says so.
    """
    totals = [row.cpu_s_per_million.sut or 0.0 for row in rows]
    edge = min(max(totals), CUT_AT * median(totals)) or 1.0
    left = [0.0] * len(rows)
    for name, colour in SPLIT_COLOURS.items():
        parts = [getattr(row.cpu_split_s_per_million, name) or 0.0 for row in rows]
        if any(parts):
            axes.barh(range(len(rows)), parts, left=left, height=0.68, color=colour, label=name)
        left = [so_far + part for so_far, part in zip(left, parts, strict=True)]
    for place, total in enumerate(totals):
        cut = " (bar cut)" if total > edge else ""
        _beside(axes, min(total, edge), place, f"{total:.2f}{cut}")
    axes.set_xlim(0, edge)
    axes.set_xlabel("CPU seconds of the SUT's core per million replies (= µs per reply)")
    _legend(axes, len(SPLIT_COLOURS))


def _drawable(report: Report) -> list[tuple[str, Draw, list[Row]]]:
    measured = [row for row in report.rows if row.status == "ok"]
    wanted: list[tuple[str, Draw, list[Row]]] = [
        ("throughput", throughput, measured),
        ("latency", latency, [row for row in measured if row.latency_ns.p50 is not None]),
        ("cpu", cpu, [row for row in measured if row.cpu_s_per_million.sut is not None]),
    ]
    return [(name, draw, rows) for name, draw, rows in wanted if rows]


def _figure(draw: Draw, rows: Sequence[Row]) -> Figure:
    figure = Figure(figsize=(WIDTH_IN, REST_IN + ROW_IN * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    draw(axes, rows)
    axes.set_yticks(range(len(rows)), [f"{row.rung} {row.service}" for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)  # first row on top
    return figure


def _beside(axes: Axes, value: float, place: int, text: str) -> None:
    """A figure right of its mark; it may stand outside the axes."""
    axes.annotate(text, (value, place), (7, 0), textcoords="offset points", va="center")


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, borderaxespad=0)


def _svg(name: str, draw: Draw, rows: Sequence[Row]) -> str:
    """SVG as a part of a page: without prolog, metadata and namespaces, which HTML implies."""
    file = io.StringIO()
    # The salt makes element ids the same each time and different between figures.
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        _figure(draw, rows).savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', rf'\1 role="img" aria-label="{name}"', text, count=1
    )
    text = re.sub(r'\bid="([\w.]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'xlink:href="#(\w+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#(\w+)\)", rf"url(#{name}-\1)", text)
    return text.replace(INK, "currentColor")
