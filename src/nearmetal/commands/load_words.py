"""Turn the generator's JSON lines (docs/programs.md) into the text that `load` prints for people.

A key that was stored but not found is `missing`, not wrong: a cache may evict it (evictions.py).
The generator's `wrong` includes these keys; `unexpected_miss` counts them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hdrh.histogram import HdrHistogram

from nearmetal.machine.processes.process import Event
from nearmetal.report import layout
from nearmetal.samples import Point
from nearmetal.spec.sweep import is_open, words

HIGHEST_NS = 1_000_000_000  # longest latency of the generator's histogram
_NAMES = {
    "down": "no answer for 1 s: the server is down",
    "up": "the server answers again: up",
    "first_answer": "the server answers",
}


def describe(event: Event, width: int | None = None) -> str:
    """Return one line of the generator in words. width: columns of the terminal."""
    if event["event"] == "second":
        parts = [(0, f"{_rate(event):>11,.0f} replies/s")]
        parts += [(spare, _percentile(event, at)) for at, spare in ((50, 3), (99, 2))]
        return layout.line([*parts, *_faults(event), (4, split(event))], width)
    if event["event"] == "preloaded":
        return f"preloaded {event['keys']:,} keys in {event['duration_ns'] / 1e9:.1f} s"
    if event["event"] == "before":
        return f"asked {event['records']:,} requests that set the state up, lost {event['lost']}"
    if event["event"] == "verified":
        return f"read them back: {'  '.join(text for _, text in _faults(event) if text)}"
    return _NAMES.get(event["event"], str(event["event"]))


def at(point: Point, result: Event, width: int | None = None) -> str:
    """Return the result of one point of a sweep in words. width: columns of the terminal."""
    intended = result["intended"] if is_open(point) else result["sent"]
    lost = (intended - result["answered"]) / max(1, intended)
    parts = [(0, f"{words(point):>14} {_rate(result):>11,.0f} replies/s")]
    spares = ((50, 3), (99, 2), (99.9, 4))
    parts += [(spare, _percentile(result, place)) for place, spare in spares]
    parts += [(1, f"loss {lost:.4%}"), *_faults(result)[1:], (5, split(result))]
    return layout.line(parts, width)


def _rate(event: Event) -> float:
    return float(event["answered"] * 1e9 / max(1, event["duration_ns"]))


def _faults(event: Event) -> list[tuple[int, str]]:
    """Return (spare, text) of lost, wrong, missing, not sent; the last two only if not zero."""
    missing, unsent = event.get("unexpected_miss", 0), event.get("not_sent", 0)
    return [
        (1, f"lost {event['lost']}"),
        (0, f"wrong {event['wrong'] - missing}"),
        (0, f"missing {missing}" if missing else ""),
        (1, f"not sent {unsent}" if unsent else ""),
    ]


def _percentile(event: Event, at: float) -> str:
    """Return a percentile in microseconds, or "> 1 s" where it is beyond the histogram."""
    value_ns = percentile(event["latency"], at)
    over = sum(count for _, count in event["latency"]) * (1 - at / 100)
    if event.get("over_1s", 0) > over:
        return f"p{at:<4g} {'> 1 s':>11}"
    return f"p{at:<4g} {value_ns / 1000:8.1f} us"


def split(event: Mapping[str, Any]) -> str:
    """Return the generator's use of cycles: "receive 10% empty poll 60% ..."; "" if unknown."""
    cycles: Mapping[str, int] = event.get("cycles", {})
    whole = sum(cycles.values())
    if not whole:
        return ""
    names = {"receive": "receive", "empty": "empty poll", "check": "check", "send": "send"}
    return " ".join(f"{names[task]} {cycles[task] / whole:.0%}" for task in names)


def percentile(latency: list[list[int]], at: float) -> int:
    """Return a percentile, in ns, of [[value_ns, count], ...]."""
    histogram = HdrHistogram(1, HIGHEST_NS, 3)
    for value_ns, count in latency:
        histogram.record_value(value_ns, count)
    return int(histogram.get_value_at_percentile(at))
