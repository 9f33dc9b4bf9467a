"""Server and generator of a trial, up and facing each other on their wire.

Over sockets an asker of its own waits for the server's first right answer, and the generator comes
after it. On vhost-user the generator is the server's other end: it listens first, asks until the
server answers, and goes on with its phases. In front of a virtual machine it connects, because
QEMU listens.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nearmetal.build import fetched
from nearmetal.build.programs import Build
from nearmetal.dut import guest, host, image, reference, uk, ukp
from nearmetal.dut.command import Command
from nearmetal.dut.contract import Dut
from nearmetal.kv import corpus
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import frame_host, nic
from nearmetal.machine.links.netns import inside
from nearmetal.machine.processes.process import Child, ChildError, Event, SilentError, Where
from nearmetal.machine.vm.vm import Vm
from nearmetal.samples import Accelerator, Point
from nearmetal.spec.experiment import Spec, memory_bytes
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology import known, switch, testpmd
from nearmetal.topology.standing import Socketed, Switched, Topology, Virtual
from nearmetal.topology.wire import Wire
from nearmetal.trial.generator import arguments, pace

START_S = 60.0
_SLICE_S = 0.5  # how long a dead server may go unnoticed while the generator asks it
_FRAME_REQUEST_BYTES_MAX = 1_472  # of 1,500 bytes of IP


@dataclass(frozen=True)
class Bench:
    """What a trial is made with."""

    spec: Spec  # at the trial's point
    build: Build
    topology: Topology
    point: Point
    accelerator: Accelerator | None = None  # where virtual machines are started
    consoles: Path | None = None  # where their serial lines are kept; None: beside the sockets

    @property
    def frames(self) -> bool:
        """Whether the generator speaks in frames."""
        return self.wire.shares_memory

    @property
    def wire(self) -> Wire:
        """Of what stands, and not of the row: one may stand in for another."""
        return known.find(self.topology.wire)


@dataclass(frozen=True)
class Server:
    """A running DUT."""

    command: Command
    child: Dut  # what was started: signals and lines are its own
    pid: int  # the process that answers; of the place ukp a child of that
    port: int
    start_ms: float
    store_budget_bytes: int | None
    store_address: int | None = None  # in a virtual machine's memory
    xdp: str | None = None  # of a null responder: its program's mode


@contextmanager
def facing(
    bench: Bench, rung: Rung, service: Service, number: int
) -> Iterator[tuple[Server, Child]]:
    """A fresh server that has answered, and a generator that has said `ready`."""
    plan = planned(bench, rung, service)
    if bench.frames:
        with _sharing_memory(plan, number) as both:
            yield both
        return
    with switching(plan), _answering(plan) as server, _generator(plan, number) as generator:
        expect("ready", next_event(generator, server.child, START_S))
        yield server, generator


def ask_corpus(bench: Bench, rung: Rung, service: Service) -> str | None:
    """The quick corpus, on a server of its own: what failed first, None where all passed."""
    plan, top, wire = planned(bench, rung, service), bench.topology, bench.wire
    if not bench.frames:
        in_frames = wire.switched or (wire.tapped and rung.in_frames)
        most = _FRAME_REQUEST_BYTES_MAX if in_frames else None
        with switching(plan), _answering(plan), inside(top.tg.netns):
            return corpus.quick_corpus(service, top.sut_addr, plan.port, most)
    assert isinstance(top, Socketed)
    unix = top.socket.with_name("relay")
    argv = bench.build.programs["nm-relay"].argv()
    carried: list[str | Path] = ["--unix", _fresh(unix)]
    calls = plan.command.machine is not None
    with (
        frame_host.started(argv, _fresh(top.socket), carried, top.tg, connect=calls) as carrier,
        start(plan) as dut,
    ):
        expect("up", next_event(carrier, dut, START_S))
        if plan.rung.place == "guest":
            dut.expect("ready", START_S)  # its kernel has the NIC before there is a server
        with frame_host.Host(unix, top.sut_addr, plan.port, base=top.tg_addr) as asker:
            return corpus.quick(service, asker, _FRAME_REQUEST_BYTES_MAX)


class Speaker(Protocol):
    """A generator, wherever it runs."""

    name: str

    def event(self, timeout_s: float) -> Event: ...


class Living(Protocol):
    """A server, as far as a generator's lines are waited for."""

    def failed(self) -> str | None: ...


def next_event(speaker: Speaker, dut: Living, timeout_s: float) -> Event:
    """The next line of the generator; a server that has died is named instead of it."""
    deadline = time.monotonic() + timeout_s
    while True:
        left_s = deadline - time.monotonic()
        try:
            return speaker.event(min(left_s, _SLICE_S))
        except ChildError as error:
            if (reason := dut.failed()) is not None:
                raise ChildError(reason) from error
            if not isinstance(error, SilentError):
                raise
            if left_s <= _SLICE_S:
                raise ChildError(f"{speaker.name} said nothing for {timeout_s:.0f} s") from error


def expect(name: str, event: Event) -> Event:
    """The event must be this one."""
    if event["event"] != name:
        raise ChildError(f"there came {event['event']!r} where {name!r} was due")
    return event


@dataclass(frozen=True)
class Plan:
    """What stands on the wire."""

    bench: Bench
    rung: Rung
    service: Service
    command: Command
    port: int

    @property
    def address(self) -> str:
        """Who answers."""
        return self.command.address or self.bench.topology.sut_addr


def planned(bench: Bench, rung: Rung, service: Service) -> Plan:
    """What is to be started, and how it is asked."""
    top = bench.topology
    # On a wire of our own every port is free.
    port = _free_port(top.sut_addr) if bench.wire.shares_ports else bench.spec.workload.port
    memory = memory_bytes(bench.spec, rung.name)
    if rung.machine is not None:
        return _planned_machine(bench, rung, service, memory)
    if rung.place == "host":
        command = host.command(rung, service, bench.build, top, memory, port)
    elif rung.place == "ukp":
        command = ukp.command(rung, service, bench.build, top, memory, port)
    else:
        command = reference.command(rung, bench.build, top, memory, port)
    return Plan(bench, rung, service, command, port)


def _planned_machine(bench: Bench, rung: Rung, service: Service, memory: int) -> Plan:
    """A virtual machine, which needs to know what runs its instructions."""
    top, accelerator = bench.topology, bench.accelerator
    assert accelerator is not None
    if rung.image is not None:
        command = image.command(rung, top, accelerator)
        return Plan(bench, rung, service, command, rung.image.port)
    place, port = guest if rung.place == "guest" else uk, bench.spec.workload.port
    command = place.command(rung, service, bench.build, top, memory, port, accelerator)
    return Plan(bench, rung, service, command, port)


def start(plan: Plan) -> Dut:
    """The DUT, on the SUT's core."""
    command, top = plan.command, plan.bench.topology
    if command.machine is None:
        return Child(command.argv, top.sut, talks=command.turns == "testpmd")
    assert isinstance(top, Virtual)
    folder = plan.bench.consoles
    if folder is None:
        assert top.directory is not None
        folder = Path(top.directory)
    log = folder / f"{plan.rung.name}-{plan.service}.log"
    where = Where(top.sut.netns, top.vmm_cpu)
    return Vm(command.machine, where, log, speaks=command.says_ready)


@contextmanager
def _sharing_memory(plan: Plan, number: int) -> Iterator[tuple[Server, Child]]:
    """The generator listens before the server starts: its start is all that is waited for."""
    command, top = plan.command, plan.bench.topology
    assert isinstance(top, Socketed)
    _fresh(top.socket)
    with _generator(plan, number) as generator:
        generator.expect("ready", START_S)
        with start(plan) as dut:
            if isinstance(dut, Vm) and command.says_ready:
                _boot(dut, generator)
            answered = expect("first_answer", next_event(generator, dut, START_S))
            if isinstance(dut, Vm):
                dut.pin((top.sut_cpu,))  # not before: it takes time that is the guest's
            yield server_of(plan, dut, answered), generator


def _boot(vm: Vm, generator: Child) -> None:
    """Read its first line when it comes: that is when QEMU's own start is over."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            vm.booted(_SLICE_S)
            return
        except SilentError as error:
            if (reason := generator.failed()) is not None:
                raise ChildError(reason) from error
            if (reason := vm.failed()) is not None:
                raise ChildError(reason) from error
            if time.monotonic() > deadline:
                raise


@contextmanager
def _answering(plan: Plan) -> Iterator[Server]:
    """Start the DUT and wait for its first right answer."""
    command, top = plan.command, plan.bench.topology
    asking = [*load_argv(plan), "--first-answer"]
    # The asker is up before the server, so that the server's start is all that is waited for.
    with Child(asking, top.tg) as asker, start(plan) as dut:
        if isinstance(dut, Vm) and command.says_ready:
            _boot(dut, asker)
        answered = next_event(asker, dut, START_S)
        asker.stop()
        if isinstance(dut, Vm):
            assert isinstance(top, Virtual)
            dut.pin((top.sut_cpu,))
            top.vm_answered(dut.pid)
        yield server_of(plan, dut, answered)


@contextmanager
def switching(plan: Plan) -> Iterator[None]:
    """The switch, where the wire has one, for as long as it is needed; it polls."""
    top = plan.bench.topology
    if not isinstance(top, Switched):
        yield
        return
    taken = top.port or nic.link(top.sut_iface)
    port = nic.Port(taken, Where(Path(top.switch_netns)), None)
    cpus = f"({','.join(map(str, top.switch_cpus))})"
    calls = plan.command.machine is not None
    sides = switch.Sides(port, _fresh(top.socket), top.tg_mac, top.sut_mac, cpus, calls)
    forwarder = testpmd.program(*fetched.provide("dpdk-testpmd"))
    with switch.forwarding(forwarder, sides, open_journal()):
        yield


def server_of(plan: Plan, dut: Dut, answered: Event) -> Server:
    """It has answered; `answered` says when."""
    start_ms = (answered["monotonic_ns"] - dut.started_ns) / 1e6
    budget, pid, store, xdp = plan.command.store_budget_bytes, dut.pid, None, None
    if plan.command.says_ready:
        ready = dut.expect("ready", START_S)
        budget, store = ready.get("store_budget_bytes"), ready.get("store_address")
        xdp = ready.get("xdp")
        if plan.command.machine is None:  # inside a machine pids are its own affair
            pid = ready.get("pid", pid)
    return Server(plan.command, dut, pid, plan.port, start_ms, budget, store, xdp)


def _generator(plan: Plan, number: int) -> Child:
    spec, point, top = plan.bench.spec, plan.bench.point, plan.bench.topology
    window = spec.window.of(plan.rung.wire)
    argv = [*load_argv(plan), *arguments(spec.workload, window, plan.service)]
    argv += ["--warmup", f"{spec.warmup_s:g}", "--time", f"{spec.measured_s:g}"]
    if point.rate_per_s is not None:
        argv += pace(point.rate_per_s, spec.sweep.arrivals if spec.sweep else "constant")
    if plan.bench.frames:
        assert isinstance(top, Socketed)
        source = plan.command.source or top.tg_addr
        argv += ["--socket", str(top.socket), "--source", source, "--await"]
        argv += ["--connect"] if plan.command.machine else []
        argv += [] if plan.command.answers_arp else ["--target-mac", top.sut_mac]
    return Child([*argv, "--seed", str(spec.seed + number)], top.tg)


def load_argv(plan: Plan) -> list[str]:
    """How it begins: whom to ask."""
    target = f"{plan.address}:{plan.port}"
    argv = plan.bench.build.programs[plan.rung.generator].argv()
    return [*argv, "--target", target, "--service", plan.service]


def _fresh(path: Path) -> Path:
    """Nobody listens there any more: a socket's name stays when its program is killed."""
    path.unlink(missing_ok=True)
    return path


def _free_port(addr: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((addr, 0))
        port: int = udp.getsockname()[1]
        return port
