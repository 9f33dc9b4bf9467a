"""serve: one rung for real use. Starts the program, listens to its counters, ends it well.

A frame datapath has no kernel's stack below it. It gets a NIC (--nic), or a veth pair that is made
for it: then everybody on this machine can ask it, at an address of its own, which is printed.
"""

from __future__ import annotations

import ipaddress
import json
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from nearmetal import build, nic
from nearmetal.datapaths.options import memory_bytes
from nearmetal.errors import BadInputError, CannotRunError, NearmetalError
from nearmetal.lab.journal import open_journal
from nearmetal.lab.process import Child, Event, Where
from nearmetal.rungs import Rung, find

_START_S = 10.0
_FOR_EVER_S = 10.0 * 365 * 86_400
_GAUGES = ("items", "live_bytes")
_LISTEN = "127.0.0.1:11211"
_PORT = "11211"
_FRAME_DATAPATHS = ("dpdk",)


@dataclass(frozen=True)
class Options:
    """As the command line has them."""

    listen: str | None
    memory: str
    allow: list[str]
    admin: list[str]
    trusted: list[str]
    metrics: str | None
    nic: str | None = None
    poll: bool = False


@dataclass(frozen=True)
class _Start:
    """What is started, and where."""

    argv: list[str]
    where: Where


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
    if options.nic is not None and rung.datapath not in _FRAME_DATAPATHS:
        raise BadInputError(f"--nic {options.nic}: {name} uses the kernel's sockets; try host-dpdk")
    program = _program(rung)
    counters = Counters()
    if options.metrics is not None:
        _serve_metrics(options.metrics, counters)
    with ExitStack() as stack:
        start = _start(rung, program, options, stack)
        child = stack.enter_context(Child(start.argv, start.where))
        try:
            ready = child.expect("ready", _START_S)
            print(f"nearmetal: {name} on {ready['listen']}, pid {ready['pid']}", file=sys.stderr)
            while True:
                counters.event = child.event(_FOR_EVER_S)
        except KeyboardInterrupt:
            print(json.dumps(_final(name, child.stop())))
            return 0


def _start(rung: Rung, program: list[str], options: Options, stack: ExitStack) -> _Start:
    """The command line; what it needs on the machine is made, and is the stack's to take down."""
    if rung.datapath not in _FRAME_DATAPATHS:
        options = replace(options, listen=options.listen or _LISTEN)
        return _Start([*program, *_arguments(rung, options)], Where())
    journal = open_journal()
    if options.nic is not None:
        nic.check_listen(options.nic, _address(options))
    port = stack.enter_context(nic.port(options.nic, journal))
    if port.wire is not None:
        options = _on_pair(options, port.wire.sut.addr, port.wire.subnet)
    store_bytes = memory_bytes(options.memory)
    memory, huge = stack.enter_context(nic.memory(journal, store_bytes))
    argv = [*program, *_arguments(rung, options), *(["--hugepages"] if huge else [])]
    eal = [*memory, "--no-telemetry", "--lcores", nic.lcores(), *port.eal]
    stack.enter_context(journal.holds("process", "what was started on the port"))
    return _Start([*argv, "--", *eal], port.where)


def _address(options: Options) -> str:
    """Of --listen, where a NIC is given."""
    found = re.fullmatch(r"([0-9.]+):[0-9]+", options.listen or "")
    if found is None:
        raise BadInputError(
            "--nic wants --listen ADDR:PORT, an IPv4 address that nobody else answers for, and"
            " --allow CIDR"
        )
    return found[1]


def _on_pair(options: Options, address: str, subnet: str) -> Options:
    """The server's address is that of the pair, and its subnet is who may ask."""
    host, _, port = (options.listen or f":{_PORT}").rpartition(":")
    if host not in ("", address):
        raise BadInputError(
            f"--listen {options.listen}: without --nic it has a veth pair of its own, whose address"
            " is printed; give --nic, or --listen :PORT"
        )
    return replace(
        options,
        listen=f"{address}:{port}",
        allow=options.allow or [subnet],
        admin=options.admin or [subnet],
    )


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
    assert options.listen is not None
    argv = ["--listen", options.listen, "--memory", options.memory]
    for option, values in (
        ("--allow", options.allow),
        ("--admin", options.admin),
        ("--trusted", options.trusted),
    ):
        for value in values:
            argv += [option, _cidr(option, value)]
    argv += [*rung.options(), *(["--poll"] if options.poll else [])]
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
