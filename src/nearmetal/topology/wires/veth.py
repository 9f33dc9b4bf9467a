"""veth: two network namespaces of our own, joined by a pair of links. Needs root."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, steering
from nearmetal.topology.standing import Topology, of_pair, on_cores
from nearmetal.topology.wire import Wire


class Veth(Topology):
    """The pair, standing."""

    wire: Literal["veth"] = "veth"
    napi_pid: int | None = None  # the thread that does the receive processing of the SUT's end


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[Veth]:
    """The pair, with the receive processing of the server's end on the server's core."""
    del hugepages_bytes  # of servers on vhost-user
    with netns.veth(open_journal()) as pair:
        thread = steering.pin_receive(pair.sut, cores.sut)
        notes = [cores.note] if cores.note else []
        if thread is None:
            notes.append("the kernel's receive thread cannot be seen here, so it is not pinned")
        yield Veth(
            sut_netns=str(pair.sut.netns),
            tg_netns=str(pair.tg.netns),
            **of_pair(pair),
            **on_cores(cores),
            napi_pid=thread,
            placement=(
                f"server and all receive processing on core {cores.sut} (its own in a NAPI"
                f" thread), generator on core {cores.tg}"
            ),
            notes=tuple(notes),
        )


WIRE = Wire(
    name="veth",
    topology=Veth,
    generator="nm-load",
    window=128,
    up=up,
    null_responder="limit-veth",
    root="network namespaces",
    sockets=True,
)
