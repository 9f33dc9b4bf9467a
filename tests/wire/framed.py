"""Rungs that know frames only, as targets: a server on a vhost-user socket, as DPDK program on
virtio-user, as the tender's image or in a virtual machine, nm-relay, and a host of frames.

No kernel is in between, so sources cannot be loopback addresses: 127.x.y.z asks as 10.x.y.z, and
the server's admission lists are moved alike.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import pytest

import tool
from nearmetal.build import guest_kernel
from nearmetal.build import programs as build
from nearmetal.dut import guest, uk, ukp
from nearmetal.kv.corpus import Guard
from nearmetal.machine.links import nic
from nearmetal.machine.links.frame_host import Host
from nearmetal.machine.processes.process import Where
from nearmetal.machine.vm import accelerator
from nearmetal.machine.vm.qemu import Machine, VhostUser
from nearmetal.machine.vm.vm import Vm
from nearmetal.spec.rungs import Rung
from tool import Program

SERVER, PORT = "10.0.0.100", 11211
SERVER_MAC = "02:00:00:00:00:64"
END_S = 120.0
ENTRIES = 1024  # of each ring: no reply may find it full while a generator is held up
MEMORY_BYTES = 64 << 20

Programs = Callable[[str], Path]
Event = Mapping[str, Any]


class Dut(Protocol):
    """A server that is up, whatever it runs in."""

    ready: Event

    def counters(self) -> Event: ...

    def final(self) -> Event:
        """Stop it; its last line."""
        ...

    def close(self) -> None: ...


class ProcessDut:
    """A process: asked by a signal, ended by another."""

    def __init__(self, command: list[str]) -> None:
        self.process = Program(command)
        try:
            self.ready = self.process.expect("ready", END_S)
        except BaseException:
            self.close()
            raise

    def counters(self) -> Event:
        return self.process.counters(END_S)

    def final(self) -> Event:
        return self.process.final(END_S)

    def close(self) -> None:
        self.process.stop(0)


class MachineDut:
    """A virtual machine: asked and ended by bytes on its serial line."""

    def __init__(self, machine: Machine, log: Path) -> None:
        self.vm = Vm(machine, Where(), log)
        try:
            self.ready = self.vm.expect("ready", END_S)
        except BaseException:
            self.close()
            raise

    def counters(self) -> Event:
        return self.vm.counters(END_S)

    def final(self) -> Event:
        events = self.vm.stop()
        assert events and events[-1]["event"] == "final", events
        return events[-1]

    def close(self) -> None:
        self.vm.stop()


class Framed:
    """A DUT of ours, and the relay that it is asked through."""

    def __init__(self, rung: Rung, service: str, programs: Programs, guard: Guard) -> None:
        self._rung = rung
        # A short path: an AF_UNIX address has 108 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="nm-"))
        self.vhost, unix = self.folder / "vhost", self.folder / "frames"
        relay = [str(programs("nm-relay")), "--socket", str(self.vhost), "--unix", str(unix)]
        self.relay = Program([*relay, *(["--connect"] if rung.machine else [])])
        try:
            self.relay.expect("ready", END_S)
            self.dut = open_dut(rung, service, programs, self.vhost, _rights(guard))
            self.ready = self.dut.ready
        except BaseException:
            self.relay.stop(0)
            raise
        try:
            self.relay.expect("up", END_S)
            self.host = Host(unix, SERVER, PORT)
            self.host.server_mac()
        except BaseException:
            self.close()
            raise

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        return self.host.ask(datagram, source)

    def ask_many(self, questions: Sequence[tuple[bytes, str]]) -> list[list[bytes]]:
        return self.host.ask_many(questions)

    def echo(self, datagram: bytes) -> bytes:
        return self.host.echo(datagram)

    def counted(self) -> Counter[str]:
        """Frames by what became of them, until now."""
        return Counter(self.dut.counters()["drops"])

    def final(self) -> Event:
        """Stop it; its last line."""
        return self.dut.final()

    def drops(self) -> Counter[str]:
        """Stop it; what came by what became of it, sentinels and ARP left out. None is missing."""
        final, came = self.final(), self.host.sent.copy()
        if not self._rung.in_frames:
            del came["arp"]  # its kernel has taken it
        drops = Counter({name: int(count) for name, count in final["drops"].items()})
        assert final["received"] == drops.total() == came.total()
        drops["answered"] -= self.host.sentinel_count
        drops["arp"] -= came["arp"]
        return drops

    def close(self) -> None:
        if hasattr(self, "host"):
            self.host.close()
        self.dut.close()
        self.relay.stop(0)
        shutil.rmtree(self.folder, ignore_errors=True)


def open_dut(
    rung: Rung, service: str, programs: Programs, vhost: Path, options: Sequence[str]
) -> Dut:
    """A rung's server on that socket, ready."""
    if rung.machine is None:
        return ProcessDut(server(rung, service, programs, vhost, options))
    image = programs(build.program_of(rung, service))
    return MachineDut(machine(rung, image, programs, vhost, options), vhost.with_name("console"))


def machine(
    rung: Rung, image: Path, programs: Programs, vhost: Path, options: Sequence[str]
) -> Machine:
    """The virtual machine of an image on that socket."""
    words = ["--listen", f"{SERVER}:{PORT}", *rung.options(), *options]
    words += [] if "--memory" in options else ["--memory", str(MEMORY_BYTES)]
    chosen = accelerator.choose(programs(build.PROBE), min(os.sched_getaffinity(0)))
    nic = VhostUser(vhost, SERVER_MAC, ENTRIES)
    if rung.place == "guest":
        inside = guest.Inside(guest_kernel.provide(), programs(build.INIT), image)
        told = guest.said(rung, inside, words, f"{SERVER}/8", MEMORY_BYTES)
        return guest.machine(inside, told, nic, chosen)
    return uk.machine(rung, image, words, MEMORY_BYTES, nic, chosen)


def server(
    rung: Rung, service: str, programs: Programs, vhost: Path, options: Sequence[str]
) -> list[str]:
    """The command line of a rung's server on that socket."""
    program = str(programs(build.program_of(rung, service)))
    words = ["--listen", f"{SERVER}:{PORT}", *rung.options(), *options]
    if rung.place == "ukp":
        own = ukp.arguments(rung, Path(program), vhost, SERVER_MAC)
        return [str(programs(build.TENDER)), *words, *own]
    return [program, *words, "--", *eal(), *virtio_user(rung, vhost)]


def skip_where_missing(rung: Rung, service: str, programs: Programs) -> None:
    """What needs something that is not on this machine is not in the build."""
    name = build.program_of(rung, service)
    beside = build.programs_beside(rung) if rung.machine else []
    reason = next(filter(None, map(build.why_not, [name, *beside])), None)
    if reason is None and build.library_of(name) is not None:
        with suppress(AssertionError):
            programs(name)
            return
        reason = f"{name} is not in this build"
    if reason is not None:
        pytest.skip(f"{rung.name}: {reason}")


def eal() -> list[str]:
    """DPDK's memory and core, small, and without huge pages: others may take those that are free
    now before it does."""
    memory = ["--no-huge", "--no-shconf", f"--file-prefix=nm-{os.getpid()}"]
    return [*memory, "-m", str(MEMORY_BYTES >> 20), "--no-telemetry", "--lcores", nic.lcores()]


def virtio_user(rung: Rung, vhost: Path) -> list[str]:
    """The rung's device, on a socket."""
    device = f"net_virtio_user0,path={vhost},mac={SERVER_MAC},queue_size={ENTRIES},{rung.virtio}"
    return ["--no-pci", f"--vdev={device}"]


def moved(network: str) -> str:
    """A network of loopback, where the host of frames asks from."""
    return network.replace("127.", "10.", 1) if network.startswith("127.") else network


def wait_for(socket: Path, generator: Program) -> None:
    """It listens before it says anything: the server must be there first."""
    tool.wait_until(lambda: socket.exists() or not generator.running(), f"{socket}", END_S)
    assert generator.running(), generator.failed()


def _rights(guard: Guard) -> list[str]:
    options = []
    for option in ("allow", "admin", "trusted"):
        for network in getattr(guard, option):
            options += [f"--{option}", moved(network)]
    return options
