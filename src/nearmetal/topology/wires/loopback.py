"""lo: the machine's loopback, for users who may not make a veth pair. The result says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.links import tried
from nearmetal.topology.standing import Topology, on_cores
from nearmetal.topology.wire import Wire
from nearmetal.topology.wires import veth


class Loopback(Topology):
    """The loopback interface, which always exists."""

    wire: Literal["lo"] = "lo"


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[Loopback]:
    """Return the topology of the loopback interface. Makes nothing."""
    del hugepages_bytes  # for servers on vhost-user only
    yield Loopback(
        sut_netns=None,
        tg_netns=None,
        sut_addr="127.0.0.1",
        tg_addr="127.0.0.1",
        subnet="127.0.0.0/8",
        sut_iface="lo",
        tg_iface="lo",
        **on_cores(cores),
        placement=(
            f"server on core {cores.sut}, generator on core {cores.tg},"
            " each doing the other's receive processing"
        ),
        notes=(cores.note,) if cores.note else (),
    )


WIRE = Wire(
    name="lo",
    topology=Loopback,
    generator="nm-load",
    window=veth.WIRE,
    up=up,
    tried=tried.loopback_why_not,
    stands_in_for=veth.WIRE,
    caveat="wire lo: one namespace, no pinned receive path; not comparable with veth",
    sockets=True,
    shares_ports=True,
)
