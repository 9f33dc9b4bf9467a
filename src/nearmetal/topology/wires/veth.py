"""veth: two network namespaces made for the run, joined by a veth pair.

The server's end sees one packet a request from every edition of the generator: the kernel cuts
joined requests (nm-load --segment) before the pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, offloads, steering, tried, xdp
from nearmetal.machine.links.frames import SUT_MAC
from nearmetal.topology.standing import Topology, of_pair, on_cores
from nearmetal.topology.wire import Edition, Wire


class Veth(Topology):
    """The veth pair."""

    wire: Literal["veth"] = "veth"
    napi_pid: int | None = None  # NAPI thread that does the receive processing of the SUT's end
    uncut: str = ""  # why the kernel does not cut the generator's joined requests before the pair


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[Veth]:
    """Make the pair, and pin the receive processing of the server's end to the server's core."""
    del hugepages_bytes  # for servers on vhost-user only
    with netns.veth(open_journal()) as pair:
        receive = steering.pin_receive(pair.sut, pair.tg, cores.sut)
        unpinned = f"unpinned receive: {receive.unpinned}" if receive.unpinned else ""
        where = (
            f"server on core {cores.sut}, generator on core {cores.tg}; receive processing unpinned"
            if receive.unpinned
            else f"server and all receive processing on core {cores.sut} (its own in a NAPI"
            f" thread), generator on core {cores.tg}"
        )
        yield Veth(
            sut_netns=str(pair.sut.netns),
            tg_netns=str(pair.tg.netns),
            **of_pair(pair),
            **on_cores(cores),
            napi_pid=receive.thread,
            uncut=offloads.uncut(pair.tg),
            placement=where,
            notes=tuple(filter(None, (cores.note, pair.note, unpinned))),
        )


def _frames(top: Topology) -> list[str]:
    """Return the options of an edition that sends whole frames from the generator's end.

    With real checksums, as the kernel's sockets have: the server's kernel accepts no wrong one.
    """
    ends = ["--iface", top.tg_iface, "--source", top.tg_addr, "--target-mac", SUT_MAC]
    return [*ends, "--checksums"]


def _uncut(top: Topology) -> str | None:
    """Return why joined requests would reach the server's end in one piece."""
    return (top.uncut or None) if isinstance(top, Veth) else None


SOCKETS = Edition("nm-load")
JOINED = Edition(
    "nm-load --segment",
    tried=_uncut,
    work="requests of a flow leave joined, and the kernel cuts them before the veth",
)
XDP = Edition(
    "nm-load-xdp",
    tried=lambda _: xdp.why_not() or tried.xsk_why_not(),
    options=_frames,
    asker=("--source-port", "19999"),  # not one of the ports that frames start at
    attaches_xdp=True,
    work=(
        "requests leave by AF_XDP: in the generator's own calls, on its core, the kernel copies"
        " and sends each one; the receive processing of its end, on the server's core, runs an XDP"
        " program and copies each reply to it"
    ),
)

WIRE = Wire(
    name="veth",
    topology=Veth,
    generator=SOCKETS.name,
    editions=(JOINED, XDP, SOCKETS),
    window=128,
    up=up,
    null_responder="limit-veth",
    tried=tried.pair_why_not,
    sockets=True,
)
