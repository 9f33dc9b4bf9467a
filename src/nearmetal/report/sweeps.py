"""The figures of a sweep: one curve per row along the axis.

keys and window: the rate over the axis, for window also latency. rate: percentiles of latency, and
loss, over the load. generators: no figure here; one or two points per row are shown by plots.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from nearmetal.report import caveats
from nearmetal.report.drawing import INK, WIDTH_IN, Drawing, few_ticks
from nearmetal.report.model import Report
from nearmetal.report.row import Interval, Row
from nearmetal.report.words import count, loss, size
from nearmetal.spec import experiment

HEIGHT_IN = 3.6
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "D", "^", "v", "P")
PERCENTILES = {"p50": ("-", "median"), "p99": ("--", "99 %"), "p999": (":", "99.9 %")}
LOSS_SEEN_MIN = 1e-6  # the axis is linear below it, so that no loss is shown as 0

Curves = Mapping[str, Sequence[Row]]


def drawings(report: Report) -> list[Drawing]:
    """Figures of a report's sweep; empty without a sweep or without a measured point."""
    if report.spec.sweep is None:
        return []
    axis = report.spec.sweep.axis
    curves = measured(report.rows, open_loop=axis == "rate")
    if not curves or axis in ("generators", "edition"):
        return []
    if axis == "keys":
        caches = cache_keys(report)
        return [Drawing("keys", _keys_caption(caches), lambda: _keys(curves, caches))]
    if axis == "window":
        return [
            Drawing(
                "window",
                "Rate and latency over the window, the number of requests in flight of the closed "
                "loop. Whiskers show the interval over the rounds.",
                lambda: _window(curves),
            )
        ]
    return [
        Drawing(
            "load",
            f"Open loop ({report.spec.sweep.arrivals} arrivals): latency from the time at which a "
            "request was due, and the share of intended requests without a right answer (median "
            "over the trials; whiskers show its interval).",
            lambda: _load(curves),
        )
    ]


def measured(rows: Sequence[Row], *, open_loop: bool) -> dict[str, list[Row]]:
    """Measured points of each row that has any, by rung and service."""
    curves: dict[str, list[Row]] = {}
    for row in rows:
        if caveats.is_null_responder(row.rung):
            continue  # only in the table: the curves below a ceiling would be flat
        if row.status == "ok" and (row.loop == "open") == open_loop:
            curves.setdefault(f"{row.rung} {row.service}", []).append(row)
    return curves


def cache_keys(report: Report) -> dict[str, tuple[int, float]]:
    """Size in bytes of each cache, and the number of keys whose store is as large."""
    caches = report.machine.get("cache_bytes")
    if not isinstance(caches, dict):
        return {}
    load = report.spec.workload
    one = experiment.needed_bytes(load.model_copy(update={"keys": 1_000_000}), "") / 1e6
    return {str(name): (value, value / one) for name, value in caches.items()}


def _keys_caption(caches: Mapping[str, tuple[int, float]]) -> str:
    if not caches:
        return "Rate over the number of keys. The machine's cache sizes are unknown."
    told = ", ".join(f"{name} {size(value)}" for name, (value, _) in caches.items())
    return (
        f"Rate over the number of keys; whiskers show the interval. Caches of a core: {told}; a "
        "dashed line shows where the store (items and index) is as large as that cache."
    )


def _keys(curves: Curves, caches: Mapping[str, tuple[int, float]]) -> Figure:
    figure, (axes,) = _panels(1)
    _rates(axes, curves, lambda row: row.point.keys or 0)
    _log_places(axes, sorted({row.point.keys or 0 for rows in curves.values() for row in rows}))
    axes.set_xlabel("keys; logarithmic")
    low, high = axes.get_xlim()
    for name, (_, keys) in caches.items():
        if low < keys < high:
            axes.axvline(keys, color=INK, linestyle=(0, (4, 3)), linewidth=0.8, zorder=0)
            axes.annotate(name, (keys, 0.02), (4, 0), ("data", "axes fraction"), "offset points")
    axes.set_xlim(low, high)
    return figure


def _window(curves: Curves) -> Figure:
    figure, (rate, latency) = _panels(2)
    _rates(rate, curves, lambda row: row.window)
    _percentiles(latency, curves, lambda row: row.window)
    for axes in (rate, latency):
        axes.set_xlabel("window, requests in flight; logarithmic")
        _log_places(axes, sorted({row.window for rows in curves.values() for row in rows}))
    return figure


def _load(curves: Curves) -> Figure:
    figure, (latency, lost) = _panels(2)
    shares = all(row.point.peak_share is not None for rows in curves.values() for row in rows)
    at: Callable[[Row], float] = _share if shares else _rate
    _percentiles(latency, curves, at)
    for number, (name, rows) in enumerate(curves.items()):
        points = [(at(row), row.loss_ratio) for row in rows]
        _whiskers(lost, points, number, name)
    lost.set_yscale("symlog", linthresh=LOSS_SEEN_MIN, linscale=0.6)
    lost.yaxis.set_major_formatter(FuncFormatter(lambda value, _: loss(value)))
    lost.yaxis.set_minor_locator(NullLocator())
    lost.set_ylim(bottom=-LOSS_SEEN_MIN / 4)
    lost.set_ylabel("loss; logarithmic, 0 at the bottom")
    for axes in (latency, lost):
        axes.set_xlabel("load, % of the row's own peak" if shares else "intended requests/s")
        if not shares:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    return figure


def _log_places(axes: Axes, places: Sequence[int]) -> None:
    """Make the horizontal axis logarithmic, with a tick at each point."""
    axes.set_xscale("log")
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.xaxis.set_minor_locator(NullLocator())


def _share(row: Row) -> float:
    return (row.point.peak_share or 0.0) * 100


def _rate(row: Row) -> float:
    return row.point.rate_per_s or 0.0


def _panels(number: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    panels = [figure.add_subplot(1, number, place + 1) for place in range(number)]
    for axes in panels:
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    return figure, panels


def _rates(axes: Axes, curves: Curves, at: Callable[[Row], float]) -> None:
    """Draw rates on an axis from zero, so that a fall is not exaggerated."""
    for number, (name, rows) in enumerate(curves.items()):
        _whiskers(axes, [(at(row), row.replies_per_s) for row in rows], number, name)
        for row in rows if len(curves) == 1 else ():  # numbers of several curves would overlap
            text = ("≥ " if row.generator_bound else "") + count(row.replies_per_s.median)
            place = (at(row), row.replies_per_s.high or 0.0)
            axes.annotate(text, place, (0, 7), textcoords="offset points", ha="center")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value) if value else "0"))
    axes.set_ylabel("right replies per second")
    axes.margins(x=0.08)
    if len(curves) > 1:
        axes.legend(loc="best")


def _whiskers(
    axes: Axes, points: Sequence[tuple[float, Interval]], number: int, label: str
) -> None:
    """Draw a line through medians, with their intervals."""
    known = [(place, each) for place, each in points if each.median is not None]
    middle = [each.median or 0.0 for _, each in known]
    low = [max(0.0, (each.median or 0.0) - (each.low or 0.0)) for _, each in known]
    high = [max(0.0, (each.high or 0.0) - (each.median or 0.0)) for _, each in known]
    axes.errorbar(
        [place for place, _ in known],
        middle,
        yerr=[low, high],
        label=label,
        color=COLOURS[number % len(COLOURS)],
        marker=MARKERS[number % len(MARKERS)],
        markersize=5,
        capsize=2.5,
    )


def _percentiles(axes: Axes, curves: Curves, at: Callable[[Row], float]) -> None:
    for number, (name, rows) in enumerate(curves.items()):
        for percentile, (line, _) in PERCENTILES.items():
            known = [(at(row), getattr(row.latency_ns, percentile)) for row in rows]
            seen = [(place, value / 1e3) for place, value in known if value is not None]
            label = name if percentile == "p50" else None
            axes.plot(
                [place for place, _ in seen],
                [value for _, value in seen],
                color=COLOURS[number % len(COLOURS)],
                linestyle=line,
                marker=MARKERS[number % len(MARKERS)],
                markersize=4,
                label=label,
            )
    for line, words in PERCENTILES.values():
        axes.plot([], [], color=INK, linestyle=line, label=words)
    axes.set_yscale("log")
    few_ticks(axes.yaxis, lambda value: f"{value:,g}")
    axes.set_ylabel("latency, µs; logarithmic")
    axes.legend(loc="best", fontsize=7)
