"""Where `serve` puts a server on a vhost-user socket: behind a tap device of its own.

    everybody on this machine - the kernel's stack - tap - [nm-relay] - vhost-user - server

The device has an address, the server the one next to it. The kernel finishes every checksum and
cuts every segment before a frame gets there, as the relay asks for no offload. Relay and server
sleep when there is nothing to do.

A virtual machine could open the device itself, but then QEMU's main loop carries every frame: the
relay did 1.5 to 3.4 times as many requests a second (docs/rungs.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from nearmetal.errors import CannotRunError
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import frame_host, netns, tried
from nearmetal.machine.links.frames import SUT_MAC
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.process import Child, Where
from nearmetal.topology.standing import Socketed


@dataclass(frozen=True)
class Joined:
    """A place for a server: it stands when this is made."""

    topology: Socketed  # the server's end of it
    relay: Child  # without it nothing gets through


@contextmanager
def joined(
    journal: Journal, relay_argv: Sequence[str], *, connect: bool = False
) -> Iterator[Joined]:
    """A tap device and a relay on it; both go at the end. connect: the server listens."""
    if (reason := tried.tap_why_not()) is not None:
        raise CannotRunError(f"no tap device: {reason}; host-mmsg is served without one")
    directory = owner.state_directory() / owner.label("served")
    socket = directory / "vhost"
    with ExitStack() as stack:
        device = stack.enter_context(netns.tap(journal))
        stack.enter_context(journal.folder(directory))
        stack.enter_context(journal.holds("process", "what was started on the tap device"))
        carrier = ["--tap", device.iface]
        child = stack.enter_context(
            frame_host.started(relay_argv, socket, carrier, Where(), connect=connect)
        )
        topology = Socketed.served(
            device.peer_addr, device.subnet, sut_mac=SUT_MAC, directory=str(directory)
        )
        yield Joined(topology, child)
