"""serve: one rung for real use. Starts the program, listens to its counters, ends it well."""

from __future__ import annotations

import ipaddress
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nearmetal import build
from nearmetal.errors import BadInputError, CannotRunError, NearmetalError
from nearmetal.lab.process import Child, Event, Where
from nearmetal.rungs import Rung, find

_START_S = 10.0
_FOR_EVER_S = 10.0 * 365 * 86_400
_GAUGES = ("items", "live_bytes")


@dataclass(frozen=True)
class Options:
    """As the command line has them."""

    listen: str
    memory: str
    allow: list[str]
    admin: list[str]
    trusted: list[str]
    metrics: str | None


@dataclass(eq=False)
class Counters:
    """The last counters line; the metrics endpoint reads it from its own thread."""

    event: Event = field(default_factory=dict)

    def collect(self) -> Iterator[Any]:
        """Prometheus families of every count."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, value in self.event.items():
            if name == "drops":
                family = CounterMetricFamily(
                    "nearmetal_ended", "Requests by how they ended", labels=["reason"]
                )
                for reason, count in value.items():
                    family.add_metric([reason], count)
                yield family
            elif name in _GAUGES:
                yield GaugeMetricFamily(f"nearmetal_{name}", f"{name} now", value=value)
            elif isinstance(value, int):
                yield CounterMetricFamily(f"nearmetal_{name}", f"{name} since start", value=value)


def serve(name: str, options: Options) -> int:
    """Serve until SIGTERM, SIGINT or the program's own end."""
    rung = find(name)
    if rung.place != "host":
        raise BadInputError(f"{rung.name} is a reference row, not ours to serve; try host-mmsg")
    arguments = _arguments(rung, options)
    counters = Counters()
    if options.metrics is not None:
        _serve_metrics(options.metrics, counters)
    with Child([*_program(rung), *arguments], Where()) as child:
        try:
            ready = child.expect("ready", _START_S)
            print(f"nearmetal: {name} on {ready['listen']}, pid {ready['pid']}", file=sys.stderr)
            while True:
                counters.event = child.event(_FOR_EVER_S)
        except KeyboardInterrupt:
            print(json.dumps(_final(name, child.stop())))
            return 0


def _final(name: str, events: list[Event]) -> Event:
    for event in events:
        if event.get("event") == "final":
            return event
    raise NearmetalError(f"{name} was ended but printed no final counts")


def _program(rung: Rung) -> list[str]:
    """How the command line begins; built where it is not."""
    program = build.program_of(rung.name, rung.datapath, "kv")
    if program == "python":
        return [sys.executable, "-m", "nearmetal.datapaths.py"]
    built = build.build([program])
    if program not in built.programs:
        raise CannotRunError(f"{rung.name}: {built.missing[program]}")
    return built.programs[program].argv()


def _arguments(rung: Rung, options: Options) -> list[str]:
    argv = ["--listen", options.listen, "--memory", options.memory]
    for option, values in (
        ("--allow", options.allow),
        ("--admin", options.admin),
        ("--trusted", options.trusted),
    ):
        for value in values:
            argv += [option, _cidr(option, value)]
    argv += rung.options()
    return [*argv, "--every", "1"] if options.metrics else argv


def _cidr(option: str, value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise BadInputError(f"{option} {value}: {error}") from None
    return value


def _serve_metrics(where: str, counters: Counters) -> None:
    from prometheus_client import CollectorRegistry, start_http_server

    address, _, port = where.rpartition(":")
    if not address or not port.isdecimal():
        raise BadInputError(f"--metrics {where}: wants ADDR:PORT, as 127.0.0.1:9100")
    registry = CollectorRegistry()
    registry.register(counters)
    try:
        start_http_server(int(port), address.strip("[]"), registry)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NearmetalError(f"--metrics {where}: {reason}; name another port") from None
