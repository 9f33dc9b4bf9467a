"""serve: one rung for real use. Starts the program, listens to its counters, ends it well.

A frame datapath has no kernel's stack below it. It gets a NIC (--nic), or a veth pair that is made
for it: then everybody on this machine can ask it, at an address of its own, which is printed. The
same holds of a unikernel, as a process or in a virtual machine, which gets a tap device
(topology/served_tap.py).
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nearmetal.build import programs
from nearmetal.commands import serve_words
from nearmetal.commands.serve_log import EVERY_S, Log
from nearmetal.dut import ukp
from nearmetal.dut.command import Command, Launch
from nearmetal.dut.contract import Dut
from nearmetal.dut.places import command
from nearmetal.errors import BadInputError, CannotRunError, NearmetalError
from nearmetal.kv.server_options import memory_bytes
from nearmetal.machine.cores import cpus
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import nic
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes import signals, supervisor
from nearmetal.machine.processes.process import (
    START_S,
    Child,
    ChildError,
    Event,
    SilentError,
    Where,
)
from nearmetal.machine.vm import accelerator
from nearmetal.machine.vm.vm import Vm
from nearmetal.spec import services
from nearmetal.spec.programs import PROBE, RELAY, programs_of_serving
from nearmetal.spec.rungs import Rung, find
from nearmetal.topology import served_tap
from nearmetal.topology.standing import AtNic, Topology

_LOOK_S = 1.0  # how long a dead relay may go unnoticed
_GAUGES = {name for row in services.SERVICES for name in row.gauges}
_LISTEN = "127.0.0.1:11211"
_PORT = "11211"


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
    quiet: bool = False
    as_json: bool = False


@dataclass(frozen=True)
class _Start:
    """What is started, and where."""

    command: Command
    where: Where
    allow: tuple[str, ...]  # who may ask
    relay: Child | None = None  # without it nobody is answered
    folder: Path | None = None  # of the console, where it is a machine

    def dut(self) -> Dut:
        """Start it."""
        if self.command.machine is None:
            return Child(self.command.argv, self.where)
        assert self.folder is not None
        return Vm(self.command.machine, self.where, self.folder / "console")


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
    """Serve until SIGTERM, SIGINT or the program's own end. A service manager is told when it
    answers, and when it ends."""
    rung = find(name)
    _check(rung, options)
    counters, log = Counters(), Log(name, quiet=options.quiet or options.as_json)
    if options.metrics is not None:
        _serve_metrics(options.metrics, counters)
    with ExitStack() as stack:
        start = _start(rung, options, stack)
        child = stack.enter_context(start.dut())
        ready = _answers(child, start.relay)
        try:
            pid = child.pid if start.command.machine else ready["pid"]
            _tell_ready(name, options, {**ready, "pid": pid}, start.allow)
            final = _follow(child, start.relay, counters, log)
        except KeyboardInterrupt as end:
            supervisor.tell("STOPPING=1")
            _tell_final(name, options, _final(name, child.stop()))
            return signals.code_of_service(end)
        supervisor.tell("STOPPING=1")
        _tell_final(name, options, final)
    return 0


def _answers(child: Dut, relay: Child | None) -> Event:
    """Its first line, once requests are answered: by way of the relay, where there is one."""
    ready = child.expect("ready", START_S)
    if relay is not None:
        relay.expect("up", START_S)
    return ready


def _tell_ready(name: str, options: Options, ready: Event, allow: tuple[str, ...]) -> None:
    """That it answers: to people, or to programs, and to a service manager."""
    in_one = serve_words.in_one_line(name, ready, allow)
    if options.as_json:
        print(json.dumps(ready), flush=True)
    elif not options.quiet:
        lines = (
            [in_one]
            if supervisor.is_there()
            else serve_words.serving(name, ready, os.getpid(), allow)
        )
        for line in lines:
            print(supervisor.line(line), file=sys.stderr, flush=True)
    if (reason := supervisor.tell("READY=1", f"STATUS={in_one}")) is not None:
        print(supervisor.line(reason, 4), file=sys.stderr, flush=True)


def _tell_final(name: str, options: Options, final: Event) -> None:
    """What it did."""
    if options.as_json:
        print(json.dumps(final), flush=True)
    elif not options.quiet:
        print(supervisor.line(serve_words.ended(name, final)), file=sys.stderr)


def _check(rung: Rung, options: Options) -> None:
    if rung.place == "reference":
        raise BadInputError(f"{rung.name} is a reference row, not ours to serve; try host-mmsg")
    if rung.absent is not None:
        raise BadInputError(f"{rung.name}: {rung.absent}")
    tapped = rung.place in ("guest", "uk", "ukp")
    if options.nic is None or (rung.in_frames and not tapped):
        return
    has = "has a tap device of its own" if tapped else "uses the kernel's sockets"
    raise BadInputError(f"--nic {options.nic}: {rung.name} {has}; try host-dpdk")


def _follow(child: Dut, relay: Child | None, counters: Counters, log: Log) -> Event:
    """Listen to it until a signal to its own pid ends it; returns its final line. ChildError: it
    ended in another way. Other lines are for bench."""
    while True:
        with suppress(SilentError):
            event = child.event(_LOOK_S)
            if event.get("event") == "final":
                return event
            if event.get("event") == "counters":
                counters.event = event
                log.heard(event)
        if relay is not None and (reason := relay.failed()) is not None:
            raise ChildError(reason)


def _start(rung: Rung, options: Options, stack: ExitStack) -> _Start:
    """What is started; what it needs on the machine is made, and is the stack's to take down."""
    launched = _launch(rung, options)
    if rung.place == "ukp":
        return _on_tap(launched, options, stack)
    if rung.machine is not None:
        return _in_machine(launched, options, stack)
    if not rung.in_frames:
        return _Start(command(launched), Where(), launched.allow)
    return _on_port(launched, options, stack)


def _launch(rung: Rung, options: Options) -> Launch:
    """As the command line has it; its programs are built where they are not."""
    launched = Launch(
        rung,
        services.FIRST,
        {},
        None,
        options.listen or _LISTEN,
        memory_bytes(options.memory),
        allow=_cidrs("--allow", options.allow),
        admin=_cidrs("--admin", options.admin),
        trusted=_cidrs("--trusted", options.trusted),
        poll=options.poll,
        every_s=1 if options.metrics else EVERY_S,
    )
    names = programs_of_serving(rung, services.FIRST)
    built = programs.build(names, progress=_say_building)
    for name in names:
        if name not in built.programs:
            raise CannotRunError(f"{rung.name}: {built.missing[name]}")
    return replace(launched, programs=built.programs)


def _say_building(what: str) -> None:
    """The first start may take a minute; only a manager asks why."""
    supervisor.tell(f"STATUS=building: {what}")


def _on_tap(launched: Launch, options: Options, stack: ExitStack) -> _Start:
    """The tender, and a relay between its server and a tap device."""
    relay = launched.programs[RELAY]
    journal = open_journal()
    joined = stack.enter_context(served_tap.joined(journal, relay.argv()))
    wanted = ukp.MEMORY_BYTES + hugepages.pages(launched.memory_bytes) * hugepages.PAGE_BYTES
    free_bytes = stack.enter_context(hugepages.reserved(journal, wanted))
    huge = {"hugepages_bytes": free_bytes if free_bytes >= wanted else 0}
    topology = joined.topology.model_copy(update=huge)
    launched = _beside(launched, options, topology, "it has a tap device of its own")
    return _Start(command(launched), Where(), launched.allow, joined.relay)


def _in_machine(launched: Launch, options: Options, stack: ExitStack) -> _Start:
    """A virtual machine, and a relay between its NIC and a tap device."""
    probe, relay = (launched.programs[name] for name in (PROBE, RELAY))
    chosen = accelerator.choose(Path(probe.path), cpus.choose(cpus.allowed()).sut)
    joined = stack.enter_context(served_tap.joined(open_journal(), relay.argv(), connect=True))
    launched = _beside(launched, options, joined.topology, "it has a tap device of its own")
    made = command(replace(launched, accelerator=chosen))
    folder = joined.topology.socket.parent
    return _Start(made, Where(), launched.allow, joined.relay, folder)


def _on_port(launched: Launch, options: Options, stack: ExitStack) -> _Start:
    """A DPDK program, and its port."""
    journal = open_journal()
    if options.nic is not None:
        nic.check_listen(options.nic, _address(options))
    port = stack.enter_context(nic.port(options.nic, journal))
    huge = stack.enter_context(nic.memory(journal, launched.memory_bytes))
    own = {"port": port.eal, "hugepages_bytes": huge}
    launched = replace(launched, cpus=tuple(os.sched_getaffinity(0)))
    if port.wire is None:
        launched = replace(launched, topology=AtNic.served(launched.address, "", **own))
    else:
        topology = AtNic.served(port.wire.sut.addr, port.wire.subnet, **own)
        why = "without --nic it has a veth pair of its own"
        launched = _beside(launched, options, topology, why)
    stack.enter_context(journal.holds("process", "what was started on the port"))
    return _Start(command(launched), port.where, launched.allow)


def _address(options: Options) -> str:
    """Of --listen, where a NIC is given."""
    found = re.fullmatch(r"([0-9.]+):[0-9]+", options.listen or "")
    if found is None:
        raise BadInputError(
            "--nic wants --listen ADDR:PORT, an IPv4 address that nobody else answers for, and"
            " --allow CIDR"
        )
    return found[1]


def _beside(launched: Launch, options: Options, topology: Topology, why: str) -> Launch:
    """The server's address is that of what was made for it, and its subnet is who may ask."""
    host, _, port = (options.listen or f":{_PORT}").rpartition(":")
    if host not in ("", topology.sut_addr):
        raise BadInputError(
            f"--listen {options.listen}: {why}, whose address is printed; give --listen :PORT"
        )
    return replace(
        launched,
        topology=topology,
        listen=f"{topology.sut_addr}:{port}",
        allow=launched.allow or (topology.subnet,),
        admin=launched.admin or (topology.subnet,),
    )


def _final(name: str, events: list[Event]) -> Event:
    for event in events:
        if event.get("event") == "final":
            return event
    raise NearmetalError(f"{name} was ended but printed no final counts")


def _cidrs(option: str, values: list[str]) -> tuple[str, ...]:
    return tuple(_cidr(option, value) for value in values)


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
