"""Starts the server and the generator of a trial on their wire.

Over sockets a short run of the generator, the asker, waits for the server's first right answer;
then the measuring generator starts. On vhost-user the generator is the server's back end: it
listens first, sends requests until the server answers, and continues with its phases. In front of a
virtual machine it connects, because QEMU listens.
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
from nearmetal.dut.command import Command, Launch
from nearmetal.dut.contract import Dut
from nearmetal.dut.places import command
from nearmetal.kv import corpus
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import frame_host, nic
from nearmetal.machine.links.frames import UDP_BYTES_MAX
from nearmetal.machine.links.netns import inside
from nearmetal.machine.processes.process import (
    START_S,
    Child,
    ChildError,
    Event,
    SilentError,
    Where,
)
from nearmetal.machine.vm.vm import Vm
from nearmetal.spec import own_service, services
from nearmetal.spec.experiment import memory_bytes
from nearmetal.spec.programs import RELAY
from nearmetal.topology import switch, testpmd
from nearmetal.topology.standing import Socketed, Switched, Virtual
from nearmetal.topology.wire import Edition
from nearmetal.trial.bed import Bed, Trial
from nearmetal.trial.generator import asker, of_trial

_SLICE_S = 0.5  # interval of checking that the server is alive, while the generator's line is due


@dataclass(frozen=True)
class Server:
    """A running DUT."""

    command: Command
    child: Dut  # the started program: it gets the signals and prints the lines
    pid: int  # the process that answers; for the place ukp a child of the started program
    port: int
    start_ms: float
    store_budget_bytes: int | None
    store_address: int | None = None  # in a virtual machine's memory
    xdp: str | None = None  # mode of a null responder's XDP program


@contextmanager
def facing(trial: Trial, bed: Bed) -> Iterator[tuple[Server, Child]]:
    """Start a fresh server and a generator.

    The body runs after the server has answered and the generator has printed `ready`.
    """
    plan = planned(trial, bed)
    if bed.shares_memory:
        with _sharing_memory(plan) as both:
            yield both
        return
    with switching(plan), _answering(plan) as server, _generator(plan) as generator:
        expect("ready", next_event(generator, server.child, START_S))
        yield server, generator


def ask_corpus(trial: Trial, bed: Bed) -> str | None:
    """Run the quick corpus on a server of its own: the first failure, or None if all passed."""
    plan, top, wire = planned(trial, bed), bed.topology, bed.wire
    wanted = own_service.corpus(services.find(trial.service))
    if not bed.shares_memory:
        in_frames = wire.switched or (wire.tapped and trial.rung.in_frames)
        most = UDP_BYTES_MAX if in_frames else None
        with switching(plan), _fresh_for(plan), inside(top.tg.netns):
            return corpus.quick_corpus(wanted, top.sut_addr, plan.port, most)
    assert isinstance(top, Socketed)
    unix = top.socket.with_name("relay")
    argv = bed.build.programs[RELAY].argv()
    carried: list[str | Path] = ["--unix", _fresh(unix)]
    calls = plan.command.machine is not None
    with (
        frame_host.started(argv, _fresh(top.socket), carried, top.tg, connect=calls) as carrier,
        start(plan) as dut,
    ):
        expect("up", next_event(carrier, dut, START_S))
        if trial.rung.place == "guest":
            dut.expect("ready", START_S)  # the guest's kernel has the NIC before its server starts
        with frame_host.Host(unix, top.sut_addr, plan.port, base=top.tg_addr) as asker:
            return corpus.quick(wanted, asker, UDP_BYTES_MAX)


@contextmanager
def _fresh_for(plan: Plan) -> Iterator[None]:
    """Start the DUT for the corpus; the body runs when it answers.

    A user's service may count every request, so it gets none before the corpus: the line `ready` of
    its server is enough. Other servers are asked until they answer.
    """
    if services.find(plan.trial.service).own is None:
        with _answering(plan):
            yield
        return
    with start(plan) as dut:
        dut.expect("ready", START_S)
        yield


class Speaker(Protocol):
    """A generator, on this machine or another."""

    name: str

    def event(self, timeout_s: float) -> Event: ...


class Living(Protocol):
    """The functions of a server that next_event calls."""

    def failed(self) -> str | None: ...

    def said(self) -> str: ...


def next_event(speaker: Speaker, dut: Living, timeout_s: float) -> Event:
    """Return the generator's next line.

    ChildError: the server has died (with its reason), or the generator has failed or was silent for
    timeout_s (with the server's last output, which may explain it).
    """
    deadline = time.monotonic() + timeout_s
    while True:
        left_s = deadline - time.monotonic()
        try:
            return speaker.event(min(left_s, _SLICE_S))
        except ChildError as error:
            if (reason := dut.failed()) is not None:
                raise ChildError(reason) from error
            if not isinstance(error, SilentError):
                raise ChildError(f"{error}{dut.said()}") from error
            if left_s <= _SLICE_S:
                late = f"{speaker.name} printed nothing for {timeout_s:.0f} s"
                raise ChildError(f"{late}{dut.said()}") from error


def expect(name: str, event: Event) -> Event:
    """Return the event if it has this name; ChildError: it has another."""
    if event["event"] != name:
        raise ChildError(f"the event {event['event']!r} came instead of {name!r}")
    return event


@dataclass(frozen=True)
class Plan:
    """A DUT to start on a wire, and the port to send requests to."""

    trial: Trial
    bed: Bed
    command: Command
    port: int

    @property
    def address(self) -> str:
        """Address that answers."""
        return self.command.address or self.bed.topology.sut_addr

    @property
    def edition(self) -> Edition:
        """Edition of the generator that sends the load."""
        return self.bed.wire.edition(self.bed.topology.generator)


def planned(trial: Trial, bed: Bed) -> Plan:
    """Plan the DUT of a trial."""
    rung = trial.rung
    launched = launch(trial, bed)
    port = launched.port if rung.image is None else rung.image.port
    return Plan(trial, bed, command(launched), port)


def launch(trial: Trial, bed: Bed) -> Launch:
    """Values that start the DUT; it answers the generator's subnet only."""
    rung, top = trial.rung, bed.topology
    # On a wire that only this run uses every port is free.
    port = _free_port(top.sut_addr) if bed.wire.shares_ports else bed.spec.workload.port
    subnet = (top.subnet,)
    return Launch(
        rung,
        trial.service,
        bed.build.programs,
        top,
        f"{top.sut_addr}:{port}",
        memory_bytes(bed.spec, rung.name),
        allow=subnet,
        admin=subnet,
        trusted=subnet,
        # A program that polls a ring does not sleep while it is measured (testpmd does not either),
        # unless the spec measures sleeping servers. A program that waits for a socket is woken.
        poll=bed.shares_memory
        and rung.uses is not None
        and rung.uses.turn == "polls"
        and not bed.spec.sleeps,
        accelerator=bed.accelerator,
    )


def start(plan: Plan) -> Dut:
    """Start the DUT on the SUT's core."""
    made, top = plan.command, plan.bed.topology
    if made.machine is None:
        return Child(made.argv, top.sut, talks=made.turns == "testpmd")
    assert isinstance(top, Virtual)
    folder = plan.bed.consoles
    if folder is None:
        assert top.directory is not None
        folder = Path(top.directory)
    log = folder / f"{plan.trial.rung.name}-{plan.trial.service}.log"
    where = Where(top.sut.netns, top.vmm_cpu)
    kept = plan.bed.consoles is not None
    return Vm(made.machine, where, log, speaks=made.says_ready, kept=kept)


@contextmanager
def _sharing_memory(plan: Plan) -> Iterator[tuple[Server, Child]]:
    """Start the generator, then the server, so that start_ms contains only the server's start."""
    made, top = plan.command, plan.bed.topology
    assert isinstance(top, Socketed)
    _fresh(top.socket)
    with _generator(plan) as generator:
        generator.expect("ready", START_S)
        with start(plan) as dut:
            if isinstance(dut, Vm) and made.says_ready:
                _boot(dut, generator)
            answered = expect("first_answer", next_event(generator, dut, START_S))
            if isinstance(dut, Vm):
                dut.pin((top.sut_cpu,))  # not earlier: pinning takes time from the guest's start
            yield server_of(plan, dut, answered), generator


def _boot(vm: Vm, generator: Child) -> None:
    """Wait for the machine's first line: QEMU's own start is over then.

    ChildError: the generator or the machine ended, or no line came within START_S.
    """
    deadline = time.monotonic() + START_S
    while True:
        try:
            vm.booted(_SLICE_S)
            return
        except SilentError as error:
            if (reason := generator.failed()) is not None:
                raise ChildError(f"{reason}{vm.said()}") from error
            if (reason := vm.failed()) is not None:
                raise ChildError(reason) from error
            if time.monotonic() > deadline:
                raise


@contextmanager
def _answering(plan: Plan) -> Iterator[Server]:
    """Start the DUT and wait for its first right answer."""
    made, top = plan.command, plan.bed.topology
    asking = [*load_argv(plan), *asker(plan.bed.spec.workload, plan.trial.service)]
    asking += plan.edition.asker
    # The asker starts before the server, so that start_ms contains only the server's start.
    with Child(asking, top.tg) as first, start(plan) as dut:
        if isinstance(dut, Vm) and made.says_ready:
            _boot(dut, first)
        answered = next_event(first, dut, START_S)
        first.stop()
        if isinstance(dut, Vm):
            assert isinstance(top, Virtual)
            dut.pin((top.sut_cpu,))
            top.vm_answered(dut.pid)
        yield server_of(plan, dut, answered)


@contextmanager
def switching(plan: Plan) -> Iterator[None]:
    """Run the wire's switch during the body, if the wire has one; the switch polls."""
    top = plan.bed.topology
    if not isinstance(top, Switched):
        yield
        return
    taken = top.port or nic.link(top.sut_iface)
    port = nic.Port(taken, Where(Path(top.switch_netns)), None)
    calls = plan.command.machine is not None
    sides = switch.Sides(port, _fresh(top.socket), top.tg_mac, top.sut_mac, top.switch_cpus, calls)
    forwarder = testpmd.program(*fetched.provide("dpdk-testpmd"))
    with switch.forwarding(forwarder, sides, open_journal()):
        yield


def server_of(plan: Plan, dut: Dut, answered: Event) -> Server:
    """Describe a DUT that has answered; answered: the event of its first right answer."""
    start_ms = (answered["monotonic_ns"] - dut.started_ns) / 1e6
    budget, pid, store, xdp = plan.command.store_budget_bytes, dut.pid, None, None
    if plan.command.says_ready:
        ready = dut.expect("ready", START_S)
        budget, store = ready.get("store_budget_bytes"), ready.get("store_address")
        xdp = ready.get("xdp")
        if plan.command.machine is None:  # a pid inside a virtual machine means nothing here
            pid = ready.get("pid", pid)
    return Server(plan.command, dut, pid, plan.port, start_ms, budget, store, xdp)


def _generator(plan: Plan) -> Child:
    trial, top = plan.trial, plan.bed.topology
    argv = load_argv(plan) + of_trial(trial, plan.bed.spec, trial.rung.wire)
    if plan.bed.shares_memory:
        assert isinstance(top, Socketed)
        source = plan.command.source or top.tg_addr
        argv += ["--socket", str(top.socket), "--source", source, "--await"]
        argv += ["--connect"] if plan.command.machine else []
        argv += [] if plan.command.answers_arp else ["--target-mac", top.sut_mac]
    return Child(argv, top.tg)


def load_argv(plan: Plan) -> list[str]:
    """The generator's program and the options that say where to send which load."""
    edition, load = plan.edition, services.find(plan.trial.service).load
    argv = plan.bed.build.programs[edition.program].argv()
    argv += ["--target", f"{plan.address}:{plan.port}", "--service", load]
    return [*argv, *edition.flags, *edition.options(plan.bed.topology)]


def _fresh(path: Path) -> Path:
    """Remove a socket's path that a killed program left; returns the path."""
    path.unlink(missing_ok=True)
    return path


def _free_port(addr: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((addr, 0))
        port: int = udp.getsockname()[1]
        return port
