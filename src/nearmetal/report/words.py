"""Formatting of figures for people: few digits, a unit, a dash for unknown values."""

from __future__ import annotations

import math
from pathlib import Path

from nearmetal.report.row import Row
from nearmetal.spec import sweep
from nearmetal.spec.experiment import Spec
from nearmetal.spec.services import ServiceRow

UNKNOWN = "–"  # noqa: RUF001  an en dash, as in printed tables


def name(row: Row) -> str:
    """Name of a row: rung, service, and its point on the axis of a sweep."""
    return " ".join(filter(None, (row.rung, row.service, sweep.words(row.point))))


def at(row: Row) -> str:
    """Name of a row's point in a sweep."""
    return sweep.words(row.point) or "closed loop"


def load(spec: Spec) -> str:
    """Describe the load: "closed loop, window 128 on veth, 256 on vhost-user"."""
    wires = dict.fromkeys(row.rung.wire for row in spec.rungs)
    sizes = {wire: spec.window.of(wire) for wire in wires}
    if spec.sweep is not None and spec.sweep.axis == "window":
        listed = ", ".join(str(point.window) for point in spec.sweep.points)
        return f"closed loop, windows {listed}"
    if len(set(sizes.values())) == 1:
        window = f"window {next(iter(sizes.values()))}"
    else:
        window = "window " + ", ".join(f"{size} on {wire}" for wire, size in sizes.items())
    if spec.sweep is None or spec.sweep.axis != "rate":
        return f"closed loop, {window}"
    shares = any(point.peak_share is not None for point in spec.sweep.points)
    return f"{'closed, then ' if shares else ''}open loop ({spec.sweep.arrivals}), {window}"


def drawn(spec: Spec) -> str:
    """Name how keys, or the requests of a user's service, are drawn."""
    return "uniform" if spec.workload.zipf is None else f"Zipf {spec.workload.zipf:g}"


def own_load(row: ServiceRow) -> str:
    """Describe a user's service and what the generator asks it."""
    own = row.own
    assert own is not None
    files = (
        Path(own.path).name if own.c is None else f"{Path(own.c).name} and {Path(own.path).name}"
    )
    parts = [files, *(f"{name}={value}" for name, value in own.arguments)]
    if own.load is not None:
        asked = own.load
        parts.append(f"{asked.requests:,} requests of {_lengths(asked.request_bytes)}")
        parts.append(f"replies of {_lengths(asked.reply_bytes)}")
        parts.append(f"{asked.unchecked_bytes:.3g} bytes of a reply not compared")
        if asked.before:
            parts.append(f"{asked.before:,} requests before")
    if own.c is None and not own.checked:
        parts.append("without bounds checks")
    return ", ".join(parts)


def _lengths(ends: tuple[int, int]) -> str:
    least, most = ends
    return f"{most} bytes" if least == most else f"{least} to {most} bytes"


def count(value: float | None) -> str:
    """1234567 -> "1.23 M"; a run's noise makes more than three digits useless."""
    if value is None:
        return UNKNOWN
    for scale, unit in ((1e9, " G"), (1e6, " M"), (1e3, " K")):
        if value >= scale * 0.9995:
            return f"{_three_digits(value / scale)}{unit}"
    return f"{value:.0f}"


def whole(value: int | None) -> str:
    """1234567 -> "1,234,567"."""
    return UNKNOWN if value is None else f"{value:,}"


def microseconds(value_ns: float | None) -> str:
    """Write nanoseconds as microseconds with three digits."""
    return UNKNOWN if value_ns is None else _three_digits(value_ns / 1e3)


def per_million(seconds: float | None) -> str:
    """Write seconds per million replies, which are also microseconds per reply."""
    return UNKNOWN if seconds is None else f"{seconds:.2f}"


def ratio(value: float | None) -> str:
    """1.4 -> "1.40 x"."""
    return UNKNOWN if value is None else f"{value:.2f} x"


def paired(value: float | None) -> str:
    """Write a ratio near 1: 0.9876 -> "0.988"."""
    return UNKNOWN if value is None else f"{value:.3f}"


def loss(value: float | None) -> str:
    """Write a share without powers of ten: 0.000123 -> "0.012 %"; none is "0"."""
    if value is None:
        return UNKNOWN
    if value <= 0:
        return "0"
    digits = max(0, 1 - math.floor(math.log10(value * 100)))
    return f"{value * 100:.{digits}f} %"


def cycles(value: float | None) -> str:
    """1234.5 -> "1,234": cycles are compared with budgets of some hundred."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """0.123 -> "12 %"."""
    return UNKNOWN if value is None else f"{value * 100:.0f} %"


def size(value_bytes: float | None) -> str:
    """Write bytes in binary units, as "1.50 MiB"."""
    if value_bytes is None:
        return UNKNOWN
    for scale, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value_bytes >= scale:
            return f"{_three_digits(value_bytes / scale)} {unit}"
    return f"{value_bytes:.0f} B"


def milliseconds(value_ms: float | None) -> str:
    """Write milliseconds with three digits."""
    return UNKNOWN if value_ms is None else _three_digits(value_ms)


def _three_digits(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"
