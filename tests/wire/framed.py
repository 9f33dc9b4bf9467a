"""Frame rungs as targets: a server on a vhost-user socket (a DPDK program on virtio-user, the
tender's image, a virtual machine), with nm-relay and a host that sends frames; or a server at one
end of a veth pair, with that host at the other.

No kernel is in between, so sources cannot be loopback addresses: a source 127.x.y.z is sent as
10.x.y.z, and the server's admission lists are changed in the same way.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

import interfaces
import pytest

import tool
from duts import MEMORY_BYTES, PORT, SERVER, SERVER_MAC, Programs, command
from nearmetal.build import programs as build
from nearmetal.kv.corpus import Guard
from nearmetal.machine.links.frame_host import Host
from nearmetal.machine.processes.process import Where
from nearmetal.machine.vm.qemu import Machine
from nearmetal.machine.vm.vm import Vm
from nearmetal.spec.programs import program_of, programs_beside
from nearmetal.spec.rungs import Rung

__all__ = ["MEMORY_BYTES", "PORT", "SERVER", "SERVER_MAC", "command"]

END_S = 120.0

Event = Mapping[str, Any]


class Dut(Protocol):
    """A running server, in a process or a machine."""

    ready: Event

    def counters(self) -> Event: ...

    def final(self) -> Event:
        """Stop the server and return its last event."""
        ...

    def close(self) -> None: ...


class ProcessDut:
    """A server in a process: signals request its counters and its end."""

    def __init__(self, command: list[str]) -> None:
        self.process = tool.Program(command)
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
    """A server in a virtual machine: bytes on its serial line request its counters and its end."""

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
    """Our own DUT, and a host of frames that reaches it."""

    dut: Dut
    host: Host
    ready: Event

    def __init__(self, rung: Rung) -> None:
        self.rung = rung

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        return self.host.ask(datagram, source)

    def ask_many(self, questions: Sequence[tuple[bytes, str]]) -> list[list[bytes]]:
        return self.host.ask_many(questions)

    def echo(self, datagram: bytes) -> bytes:
        return self.host.echo(datagram)

    def counted(self) -> Counter[str]:
        """Return the frames so far, counted by their drop reason or as answered."""
        return Counter(self.dut.counters()["drops"])

    def final(self) -> Event:
        """Stop the server and return its last event."""
        return self.dut.final()

    def drops(self) -> Counter[str]:
        """Stop the server; check that it counted all frames; return its drops without sentinels
        and ARP."""
        final, came = self.final(), self.host.sent.copy()
        if not self.rung.in_frames:
            del came["arp"]  # handled by the guest's kernel
        drops = Counter({name: int(count) for name, count in final["drops"].items()})
        assert final["received"] == drops.total() == came.total()
        drops["answered"] -= self.host.sentinel_count
        drops["arp"] -= came["arp"]
        return drops

    def close(self) -> None:
        if hasattr(self, "host"):
            self.host.close()
        if hasattr(self, "dut"):
            self.dut.close()


class Relayed(Framed):
    """A server on a vhost-user socket, and the relay through which it is reached."""

    def __init__(self, rung: Rung, service: str, programs: Programs, guard: Guard) -> None:
        super().__init__(rung)
        # A short path: an AF_UNIX address has 108 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="nm-"))
        self.vhost, unix = self.folder / "vhost", self.folder / "frames"
        relay = [str(programs("nm-relay")), "--socket", str(self.vhost), "--unix", str(unix)]
        self.relay = tool.Program([*relay, *(["--connect"] if rung.machine else [])])
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

    def close(self) -> None:
        super().close()
        self.relay.stop(0)
        shutil.rmtree(self.folder, ignore_errors=True)


class AtInterface(Framed):
    """A server at one end of a veth pair. No kernel has its address."""

    def __init__(self, rung: Rung, service: str, programs: Programs, guard: Guard) -> None:
        super().__init__(rung)
        with ExitStack() as stack:
            wire = stack.enter_context(interfaces.bare_pair())
            stack.callback(super().close)
            argv = interfaces.command(rung, service, programs, wire, _rights(guard))
            self.dut = ProcessDut(argv)
            self.ready = self.dut.ready
            self.host = Host(interfaces.link(wire), SERVER, PORT)
            self.host.server_mac()
            self._stack = stack.pop_all()

    def close(self) -> None:
        self._stack.close()


def open_dut(
    rung: Rung, service: str, programs: Programs, vhost: Path, options: Sequence[str]
) -> Dut:
    """Start a rung's server on that socket, and wait until it is ready."""
    made = command(rung, service, programs, vhost, options)
    if made.machine is None:
        return ProcessDut(list(made.argv))
    return MachineDut(made.machine, vhost.with_name("console"))


def machine(
    rung: Rung, service: str, programs: Programs, vhost: Path, options: Sequence[str]
) -> Machine:
    """Return the virtual machine of a rung on that socket."""
    made = command(rung, service, programs, vhost, options).machine
    assert made is not None
    return made


def skip_where_missing(rung: Rung, service: str, programs: Programs) -> None:
    """Skip if the rung's program is not in the build because something is missing here."""
    name = program_of(rung, service)
    beside = programs_beside(rung) if rung.machine else []
    reason = next(filter(None, map(build.why_not, [name, *beside])), None)
    if reason is None and build.library_of(name) is not None:
        with suppress(AssertionError):
            programs(name)
            return
        reason = f"{name} is not in this build"
    if reason is not None:
        pytest.skip(f"{rung.name}: {reason}")


def moved(network: str) -> str:
    """Return the network from which the host of frames sends for a loopback network."""
    return network.replace("127.", "10.", 1) if network.startswith("127.") else network


def wait_for(socket: Path, generator: tool.Program) -> None:
    """Wait for the generator's socket: it prints nothing until a server connects."""
    tool.wait_until(lambda: socket.exists() or not generator.running(), f"{socket}", END_S)
    assert generator.running(), generator.failed()


def _rights(guard: Guard) -> list[str]:
    options = []
    for option in ("allow", "admin", "trusted"):
        for network in getattr(guard, option):
            options += [f"--{option}", moved(network)]
    return options
