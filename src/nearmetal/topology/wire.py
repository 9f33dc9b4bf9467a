"""What a wire is: the facts of it that the other modules ask for, and how it is brought up.

A wire is one file in wires/, which says all of this in its WIRE (known.py finds it). Other files do
not compare with its name: a further fact becomes an attribute here.
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

# With the run's cores, and how much servers want in huge pages; down again when it is left.
BringUp = Callable[[Cores, int], AbstractContextManager[Topology]]


@dataclass(frozen=True)
class Device:
    """A device that the kernel must offer."""

    path: str  # from the root, as dev/net/tun
    module: str  # of the kernel, that has it


@dataclass(frozen=True)
class Wire:
    """How generator and server are joined."""

    name: str
    topology: type[Topology]  # what it is when it stands; much of the below is read of its class
    generator: str  # the program that asks over it
    # Requests in flight where nothing else is said; or the wire whose window it has, in a spec too.
    window: int | Wire
    up: BringUp | None = None  # None: it is between machines, and testbed/ makes it
    null_responder: str | None = None  # the row whose rate is the generator's most over it
    devices: tuple[Device, ...] = ()  # that it takes
    tried: Callable[[], str | None] = lambda: None  # why it cannot be made, found by trying
    stands_in_for: Wire | None = None  # whose rows it carries where that one cannot be made
    caveat: str = ""  # what the label of every row on it says
    # Servers meet it with the kernel's sockets, memcached too: its rows compare with memcached's.
    sockets: bool = False
    shares_ports: bool = False  # UDP ports are those of the whole machine: any may be taken

    @property
    def between_machines(self) -> bool:
        """Whether it joins several machines, and cannot be made on one."""
        return self.up is None

    @property
    def by_vhost_user(self) -> bool:
        """Whether the server's frames leave by a vhost-user socket, past the host's kernel."""
        return issubclass(self.topology, Socketed)

    @property
    def switched(self) -> bool:
        """Whether a switch (topology/switch.py) stands before the server. It polls."""
        return issubclass(self.topology, Switched)

    @property
    def shares_memory(self) -> bool:
        """Whether the generator is itself the other end of the server's rings: both speak frames
        through memory of both, and no socket of the kernel's gets there."""
        return self.by_vhost_user and not self.switched

    @property
    def tapped(self) -> bool:
        """Whether the server's virtqueue ends at a tap device, and so in the host's kernel."""
        return issubclass(self.topology, Virtual) and not self.by_vhost_user

    @property
    def shape(self) -> Shape:
        """The topology, as a row of the report has it."""
        return "pvp" if self.switched else "p2p"

    @property
    def window_wire(self) -> Wire:
        """The wire under whose name a spec gives its window."""
        return self if isinstance(self.window, int) else self.window.window_wire

    def why_not(self, machine: Path = Path("/")) -> str | None:
        """Why this machine cannot make it; None: it can. Looks only."""
        for device in self.devices:
            if not (machine / device.path).exists():
                return (
                    f"this machine has no /{device.path}; where its kernel can: modprobe"
                    f" {device.module}"
                )
        return self.tried()
