"""Give a server on a vhost-user socket, started by `serve`, a tap device of its own.

    any program on this machine - the kernel's stack - tap - [nm-relay] - vhost-user - server

The tap device has an address, and the server has the next one. The relay requests no offloads, so
the kernel completes all checksums and segments packets before it passes on a frame. Relay and
server sleep when idle.

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
    """A tap device that is up, joined to a vhost-user socket by a relay."""

    topology: Socketed  # the server's end
    relay: Child  # carries all frames


@contextmanager
def joined(
    journal: Journal, relay_argv: Sequence[str], *, connect: bool = False
) -> Iterator[Joined]:
    """Make a tap device and start a relay on it; both are removed at the end.

    connect: the server listens on the socket and the relay connects, not the other way round.
    Raises CannotRunError: no tap device can be made.
    """
    if (reason := tried.tap_why_not()) is not None:
        raise CannotRunError(f"no tap device: {reason}; `serve host-mmsg` needs none")
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
