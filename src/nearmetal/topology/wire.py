"""The description of a wire: the facts that other modules need, and how to bring it up.

A wire is one file in wires/, which declares these facts in its WIRE (known.py finds it). Other
files never compare a wire's name: a further fact becomes an attribute here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nearmetal.machine.cores.placement import Cores
from nearmetal.topology.standing import Socketed, Switched, Topology, Virtual

# p2p: joined directly; pvp: physical, virtual, physical, through a switch to a guest and back.
Shape = Literal["p2p", "pvp"]

# Arguments: the run's cores, and the bytes of huge pages for servers. Leaving it removes the wire.
BringUp = Callable[[Cores, int], AbstractContextManager[Topology]]


@dataclass(frozen=True)
class Device:
    """A device that the kernel must offer."""

    path: str  # relative to the root, e.g. dev/net/tun
    module: str  # name of the kernel module for modprobe


@dataclass(frozen=True)
class Edition:
    """An edition of the generator that can send a wire's load."""

    name: str  # its program, and the options that make it this edition
    # Returns why this user cannot run it here, on the wire that is up.
    tried: Callable[[Topology], str | None] = lambda _: None
    options: Callable[[Topology], list[str]] = lambda _: []  # how it reaches the server's end
    # Further options of the run that waits for the first answer, which another run follows.
    asker: tuple[str, ...] = ()
    attaches_xdp: bool = False  # it attaches an XDP program to its end of the wire
    work: str = ""  # the kernel's part of its work, and whose core does it, for the placement

    @property
    def program(self) -> str:
        return self.name.split()[0]

    @property
    def flags(self) -> list[str]:
        return self.name.split()[1:]


@dataclass(frozen=True)
class Wire:
    """A way to join generator and server."""

    name: str
    topology: type[Topology]  # its class when it is up; properties below are derived from the class
    generator: str  # the generator program for it, which runs wherever the wire can be made
    # Default number of requests in flight; or the wire whose window it uses, also in a spec.
    window: int | Wire
    up: BringUp | None = None  # None: it joins several machines, and testbed/ makes it
    null_responder: str | None = None  # the row that shows the generator's highest rate on it
    devices: tuple[Device, ...] = ()  # devices that it needs
    tried: Callable[[], str | None] = lambda: None  # tries to make it; returns why that fails
    stands_in_for: Wire | None = None  # the wire whose rows it carries where that cannot be made
    caveat: str = ""  # text in the label of every row on it
    # Servers use the kernel's sockets on it, memcached too: its rows compare with memcached's.
    sockets: bool = False
    shares_ports: bool = False  # it uses the whole machine's UDP ports: any may be in use
    # Editions of the generator in the order in which they are tried; empty: `generator` alone.
    editions: tuple[Edition, ...] = ()

    @property
    def between_machines(self) -> bool:
        """Whether it joins several machines, so it cannot be made on one."""
        return self.up is None

    @property
    def by_vhost_user(self) -> bool:
        """Whether the server's frames use vhost-user and so bypass the host's kernel."""
        return issubclass(self.topology, Socketed)

    @property
    def switched(self) -> bool:
        """Whether a switch (topology/switch.py), which polls, is in front of the server."""
        return issubclass(self.topology, Switched)

    @property
    def shares_memory(self) -> bool:
        """Whether the generator is the other end of the server's rings, in shared memory.

        Kernel sockets cannot reach such a server.
        """
        return self.by_vhost_user and not self.switched

    @property
    def tapped(self) -> bool:
        """Whether the server's virtqueue ends at a tap device of the host's kernel."""
        return issubclass(self.topology, Virtual) and not self.by_vhost_user

    @property
    def shape(self) -> Shape:
        """The topology in a row of the report: p2p or pvp."""
        return "pvp" if self.switched else "p2p"

    @property
    def window_wire(self) -> Wire:
        """The wire under whose name a spec gives its window."""
        return self if isinstance(self.window, int) else self.window.window_wire

    def in_turn(self, first: str | None = None) -> list[Edition]:
        """Return the editions to try, in order; the last one is `generator`, which always runs.

        first: the edition to try before all others, if this wire has it.
        """
        editions = self.editions or (Edition(self.generator),)
        ordered = sorted(editions, key=lambda each: each.name != first)
        last = [each.name for each in ordered].index(self.generator)
        return ordered[: last + 1]

    def edition(self, name: str | None) -> Edition:
        """Return the edition of this name; None: `generator`."""
        wanted = name or self.generator
        return next((e for e in self.editions if e.name == wanted), Edition(wanted))

    def why_not(self, machine: Path = Path("/")) -> str | None:
        """Return why this machine cannot make the wire; None: it can. Changes nothing."""
        for device in self.devices:
            if not (machine / device.path).exists():
                return (
                    f"this machine has no /{device.path}; if its kernel has the module: modprobe"
                    f" {device.module}"
                )
        return self.tried()
