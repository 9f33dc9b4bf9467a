"""load: the traffic generator alone against a server that may come and go.

The generator does the work and says one JSON line a second (docs/programs.md); here they become
words for people, and an exit code.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hdrh.histogram import HdrHistogram

from nearmetal import build
from nearmetal.errors import BadInputError, CannotRunError
from nearmetal.lab.process import Child, Event, SilentError, Where
from nearmetal.spec import Workload
from nearmetal.spec import load as load_spec

_WORKLOADS = {"standard": Workload(), "smoke": Workload(name="smoke", keys=1_000, flows=4)}
_LAST_LINE_S = 0.25  # the line of the last second comes at its end: wait for it
_SLICE_S = 1.0  # a preload of many keys says nothing for long: look at the clock meanwhile
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}


@dataclass(frozen=True)
class Options:
    """As the command line has them."""

    target: str
    service: str
    workload: str
    window: int
    duration: str | None
    as_json: bool


def load(options: Options) -> int:
    """Drive the target until the time is over or we are stopped; 1 when an answer was wrong."""
    duration_s = None if options.duration is None else seconds(options.duration)
    wrong = answered = 0
    with Child(_command(options), Where()) as child:
        try:
            for event in _events(child, duration_s):
                if event["event"] == "second":
                    wrong += event["wrong"]
                    answered += event["answered"]
                print(json.dumps(event) if options.as_json else describe(event), flush=True)
        except KeyboardInterrupt:
            pass
    print(f"nearmetal: {answered} right answers, {wrong} wrong", file=sys.stderr)
    return 1 if wrong or not answered else 0


def _events(child: Child, duration_s: float | None) -> Iterator[Event]:
    """The generator's lines until the time is over; it may be silent for long."""
    deadline = math.inf
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            event = child.event(min(left_s, _SLICE_S))
        except SilentError:
            continue
        # The clock starts with the first measured second, or where there is no answer.
        if duration_s and deadline == math.inf and event["event"] in ("measuring", "down"):
            deadline = time.monotonic() + duration_s + _LAST_LINE_S
        yield event


def describe(event: Event) -> str:
    """One line of the generator, for people."""
    if event["event"] == "second":
        rate = event["answered"] * 1e9 / max(1, event["duration_ns"])
        p50, p99 = (percentile(event["latency"], at) / 1000 for at in (50, 99))
        return (
            f"{rate:>11,.0f} replies/s  p50 {p50:8.1f} us  p99 {p99:8.1f} us"
            f"  lost {event['lost']}  wrong {event['wrong']}"
        )
    if event["event"] == "preloaded":
        return f"preloaded {event['keys']:,} keys in {event['duration_ns'] / 1e9:.1f} s"
    if event["event"] == "verified":
        return f"read them back: wrong {event['wrong']}, lost {event['lost']}"
    words = {"down": "no answer for 1 s: down", "up": "it answers again: up"}
    return words.get(event["event"], str(event["event"]))


def percentile(latency: list[list[int]], at: float) -> int:
    """Of [[value_ns, count], ...]."""
    histogram = HdrHistogram(1, 1_000_000_000, 3)
    for value_ns, count in latency:
        histogram.record_value(value_ns, count)
    return int(histogram.get_value_at_percentile(at))


def seconds(text: str) -> float:
    """10s, 500ms, 5m, 1h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text.strip())
    if found is None or float(found.group(1)) == 0:
        raise BadInputError(f"--for {text}: wants a time, as 10s or 5m")
    return float(found.group(1)) * _SECONDS[found.group(2)]


def arguments(workload: Workload, window: int) -> list[str]:
    """A workload as nm-load has it."""
    argv = ["--keys", str(workload.keys), "--key-bytes", str(workload.key_bytes)]
    argv += ["--value-bytes", str(workload.value_bytes), "--get", f"{workload.get:g}"]
    argv += ["--set", f"{workload.set:g}", "--miss", f"{workload.miss:g}"]
    argv += ["--uniform"] if workload.zipf is None else ["--zipf", f"{workload.zipf:g}"]
    return [*argv, "--flows", str(workload.flows), "--window", str(window)]


def pace(rate_per_s: float, arrivals: str) -> list[str]:
    """The open loop as nm-load has it."""
    return ["--rate", f"{rate_per_s:.0f}", "--arrivals", arrivals]


def _command(options: Options) -> list[str]:
    address, _, port = options.target.rpartition(":")
    if not address or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise BadInputError(f"{options.target}: the target is ADDR:PORT, as 127.0.0.1:11211")
    if options.service not in ("kv", "echo"):
        raise BadInputError(f"--service {options.service}: kv or echo")
    workload = _workload(options.workload)
    built = build.build(["nm-load"])
    if "nm-load" not in built.programs:
        raise CannotRunError(f"load: {built.missing['nm-load']}")
    argv = [*built.programs["nm-load"].argv(), "--target", options.target]
    return [*argv, "--service", options.service, *arguments(workload, options.window), "--stay"]


def _workload(name: str) -> Workload:
    if name in _WORKLOADS:
        return _WORKLOADS[name]
    if name.endswith(".toml"):
        return load_spec(Path(name)).workload
    known = ", ".join(_WORKLOADS)
    raise BadInputError(f"--workload {name}: unknown (known: {known}; or give a spec file)")
