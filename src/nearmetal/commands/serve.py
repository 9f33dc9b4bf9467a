"""serve: run one rung for real use. Start the program, read its counters, stop it cleanly.

A frame datapath has no kernel network stack below it. It gets a NIC (--nic), or a veth pair that is
made for it: then any program on this machine can send requests to its own address, which is
printed. A unikernel, as a process or in a virtual machine, gets a tap device in the same way
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
from nearmetal.commands.own import Served
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
from nearmetal.spec.rungs import Rung
from nearmetal.spec.services import ServiceRow
from nearmetal.topology import served_tap
from nearmetal.topology.standing import AtNic, Topology

_LOOK_S = 1.0  # interval of the check whether the relay has died
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    listen: str | None
    memory: str | None
    allow: list[str]
    admin: list[str]
    trusted: list[str]
    metrics: str | None
    nic: str | None = None
    poll: bool = False
    quiet: bool = False
    as_json: bool = False
    served: Served = field(default_factory=Served)


@dataclass(frozen=True)
class _Start:
    """The command to start, and where."""

    command: Command
    where: Where
    allow: tuple[str, ...]  # source addresses that are admitted
    relay: Child | None = None  # carries all traffic where there is one
    folder: Path | None = None  # for the console file; set for a virtual machine only

    def dut(self) -> Dut:
        """Start the program or the virtual machine."""
        if self.command.machine is None:
            return Child(self.command.argv, self.where)
        assert self.folder is not None
        return Vm(self.command.machine, self.where, self.folder / "console")


@dataclass(eq=False)
class Counters:
    """The last counters event; the metrics endpoint reads it from its own thread."""

    service: ServiceRow  # what is served
    event: Event = field(default_factory=dict)

    def collect(self) -> Iterator[Any]:
        """Yield the Prometheus metric families of all counters."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, value in self.event.items():
            if name == "drops":
                family = CounterMetricFamily(
                    "nearmetal_ended", "Requests by how they ended", labels=["reason"]
                )
                for reason, count in value.items():
                    family.add_metric([reason], count)
                yield family
            elif name in self.service.gauges:
                yield GaugeMetricFamily(f"nearmetal_{name}", f"{name} now", value=value)
            elif isinstance(value, int):
                yield CounterMetricFamily(f"nearmetal_{name}", f"{name} since start", value=value)


def serve(name: str, options: Options) -> int:
    """Serve until SIGTERM, SIGINT or the program's own end; return the exit code.

    The service manager, if there is one, gets READY=1 and STOPPING=1.
    """
    rung = options.served.rung(name)
    _check(rung, options)
    counters = Counters(services.find(options.served.service))
    log = Log(name, quiet=options.quiet or options.as_json)
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
    """Wait until requests are answered, also through the relay; return the `ready` event."""
    ready = child.expect("ready", START_S)
    if relay is not None:
        relay.expect("up", START_S)
    return ready


def _tell_ready(name: str, options: Options, ready: Event, allow: tuple[str, ...]) -> None:
    """Report that requests are answered: as text or JSON, and to a service manager."""
    in_one = serve_words.in_one_line(name, ready, allow)
    if options.as_json:
        print(json.dumps(ready), flush=True)
    elif not options.quiet:
        lines = (
            [in_one]
            if supervisor.is_there()
            else serve_words.serving(name, ready, os.getpid(), allow, options.served)
        )
        for line in lines:
            print(supervisor.line(line), file=sys.stderr, flush=True)
    if (reason := supervisor.tell("READY=1", f"STATUS={in_one}")) is not None:
        print(supervisor.line(reason, 4), file=sys.stderr, flush=True)


def _tell_final(name: str, options: Options, final: Event) -> None:
    """Print the final counts, as text or JSON."""
    if options.as_json:
        print(json.dumps(final), flush=True)
    elif not options.quiet:
        print(supervisor.line(serve_words.ended(name, final)), file=sys.stderr)


def _check(rung: Rung, options: Options) -> None:
    if rung.place == "reference":
        raise BadInputError(f"{rung.name} is a reference row; serve cannot run it; try host-mmsg")
    if rung.absent is not None:
        raise BadInputError(f"{rung.name}: {rung.absent}")
    if options.served.service not in rung.services:
        raise BadInputError(
            f"{rung.name} cannot serve {options.served.service}, which is in C; try host-mmsg"
        )
    tapped = rung.place in ("guest", "uk", "ukp")
    if options.nic is None or (rung.in_frames and not tapped):
        return
    has = "has a tap device of its own" if tapped else "uses the kernel's sockets"
    raise BadInputError(f"--nic {options.nic}: {rung.name} {has}; try host-dpdk")


def _follow(child: Dut, relay: Child | None, counters: Counters, log: Log) -> Event:
    """Read events until a signal to the program's own pid ends it; return its final event.

    Raises ChildError: the program ended in another way, or the relay failed. Events other than
    `final` and `counters` are for bench and ignored here.
    """
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
    """Return what to start. Makes the devices that it needs; leaving the stack removes them."""
    launched = _launch(rung, options)
    if rung.place == "ukp":
        return _on_tap(launched, options, stack)
    if rung.machine is not None:
        return _in_machine(launched, options, stack)
    if not rung.in_frames:
        return _Start(command(launched), Where(), launched.allow)
    return _on_port(launched, options, stack)


def _launch(rung: Rung, options: Options) -> Launch:
    """Return the launch that the options describe; build its programs where they are missing.

    Raises CannotRunError: a program cannot be built here.
    """
    served = options.served
    launched = Launch(
        rung,
        served.service,
        {},
        None,
        options.listen or f"{_LOOPBACK}:{served.port}",
        memory_bytes(options.memory) if options.memory is not None else served.memory_bytes,
        allow=_cidrs("--allow", options.allow),
        admin=_cidrs("--admin", options.admin),
        trusted=_cidrs("--trusted", options.trusted),
        poll=options.poll,
        every_s=1 if options.metrics else EVERY_S,
    )
    names = programs_of_serving(rung, served.service)
    built = programs.build(names, progress=_say_building, own=served.own)
    for name in names:
        if name not in built.programs:
            raise CannotRunError(f"{rung.name}: {built.missing[name]}")
    return replace(launched, programs=built.programs)


def _say_building(what: str) -> None:
    """Send the build's progress to the service manager: the first start may take a minute."""
    supervisor.tell(f"STATUS=building: {what}")


def _on_tap(launched: Launch, options: Options, stack: ExitStack) -> _Start:
    """Return the start of a ukp row, with a relay between its vhost-user socket and a tap."""
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
    """Return the start of a virtual machine, with a relay between its NIC and a tap device."""
    probe, relay = (launched.programs[name] for name in (PROBE, RELAY))
    chosen = accelerator.choose(Path(probe.path), cpus.choose(cpus.allowed()).sut)
    joined = stack.enter_context(served_tap.joined(open_journal(), relay.argv(), connect=True))
    launched = _beside(launched, options, joined.topology, "it has a tap device of its own")
    made = command(replace(launched, accelerator=chosen))
    folder = joined.topology.socket.parent
    return _Start(made, Where(), launched.allow, joined.relay, folder)


def _on_port(launched: Launch, options: Options, stack: ExitStack) -> _Start:
    """Return the start of a DPDK program, with its port: a NIC or one end of a veth pair."""
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
    stack.enter_context(journal.holds("process", "the program on the port"))
    return _Start(command(launched), port.where, launched.allow)


def _address(options: Options) -> str:
    """Return the address of --listen; --nic needs one. Raises BadInputError without it."""
    found = re.fullmatch(r"([0-9.]+):[0-9]+", options.listen or "")
    if found is None:
        raise BadInputError(
            "--nic needs --listen ADDR:PORT, with an IPv4 address that no other host uses, and"
            " --allow CIDR"
        )
    return found[1]


def _beside(launched: Launch, options: Options, topology: Topology, why: str) -> Launch:
    """Set the server's address to that of the device made for it, and admit its subnet.

    Raises BadInputError: --listen names another address. why: the reason, for that message.
    """
    host, _, port = (options.listen or f":{options.served.port}").rpartition(":")
    if host not in ("", topology.sut_addr):
        raise BadInputError(
            f"--listen {options.listen}: {why}, and prints its address; give --listen :PORT"
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
    raise NearmetalError(f"{name} was stopped but printed no final counts")


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
        raise BadInputError(f"--metrics {where}: give ADDR:PORT, e.g. 127.0.0.1:9100")
    registry = CollectorRegistry()
    registry.register(counters)
    try:
        start_http_server(int(port), address.strip("[]"), registry)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise NearmetalError(f"--metrics {where}: {reason}; name another port") from None
