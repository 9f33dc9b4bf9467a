"""veth: two network namespaces made for the run, joined by a veth pair.

The generator sends several requests of a flow as one message (--segment) if the kernel cuts such
messages before the pair: the server's end sees one packet a request in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, offloads, steering, tried
from nearmetal.topology.standing import Topology, of_pair, on_cores
from nearmetal.topology.wire import Wire


class Veth(Topology):
    """The veth pair."""

    wire: Literal["veth"] = "veth"
    napi_pid: int | None = None  # NAPI thread that does the receive processing of the SUT's end


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[Veth]:
    """Make the pair, and pin the receive processing of the server's end to the server's core."""
    del hugepages_bytes  # for servers on vhost-user only
    with netns.veth(open_journal()) as pair:
        receive = steering.pin_receive(pair.sut, pair.tg, cores.sut)
        uncut = offloads.uncut(pair.tg)
        one_by_one = f"requests one by one: {uncut}" if uncut else ""
        unpinned = f"unpinned receive: {receive.unpinned}" if receive.unpinned else ""
        where = (
            f"server on core {cores.sut}, generator on core {cores.tg}; receive processing unpinned"
            if receive.unpinned
            else f"server and all receive processing on core {cores.sut} (its own in a NAPI"
            f" thread), generator on core {cores.tg}"
        )
        joined = "" if uncut else "; requests of a flow leave joined, and are cut before the veth"
        yield Veth(
            sut_netns=str(pair.sut.netns),
            tg_netns=str(pair.tg.netns),
            **of_pair(pair),
            **on_cores(cores),
            napi_pid=receive.thread,
            tg_options=() if uncut else ("--segment",),
            placement=where + joined,
            notes=tuple(filter(None, (cores.note, pair.note, unpinned, one_by_one))),
        )


WIRE = Wire(
    name="veth",
    topology=Veth,
    generator="nm-load",
    window=128,
    up=up,
    null_responder="limit-veth",
    tried=tried.pair_why_not,
    sockets=True,
)
