"""pvp: a veth to a switch, and vhost-user from there on, as guests have it.

The switch polls, so it runs during this wire's trials only (trial/start.py). Between machines the
switch is on the server's, behind its data NIC (testbed/).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, offloads, tried
from nearmetal.machine.links.frames import BEHIND_SWITCH_MAC
from nearmetal.machine.processes import owner
from nearmetal.topology.standing import Switched, of_pair, on_cores
from nearmetal.topology.wire import Wire
from nearmetal.topology.wires import nic, veth


class Pvp(Switched):
    """Both links, standing, without the switch between."""

    wire: Literal["pvp"] = "pvp"


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[Pvp]:
    """Two links for a switch to join."""
    del hugepages_bytes  # the switch has the pages
    journal, directory = open_journal(), owner.state_directory() / owner.label("pvp")
    polled, switch = {cores.sut, cores.tg}, cores.switch
    where = f"core {switch[0]}" if len(switch) == 1 else f"cores {', '.join(map(str, switch))}"
    shared = " (theirs: there is no other)" if polled & set(switch) else ""
    with ExitStack() as stack:
        pair = stack.enter_context(netns.tapped(journal, here=False))
        offloads.tx_checksums_on_send(pair.tg)
        netns.neighbour(pair.tg, pair.sut.addr, pair.sut.mac)
        stack.enter_context(journal.folder(directory))
        yield Pvp(
            sut_netns=None,
            tg_netns=str(pair.tg.netns),
            **of_pair(pair),
            **on_cores(cores),
            vmm_cpu=cores.vmm,
            sut_mac=BEHIND_SWITCH_MAC,
            directory=str(directory),
            switch_netns=str(pair.sut.netns),
            switch_cpus=switch,
            tg_mac=pair.tg.mac,
            placement=(
                f"server on core {cores.sut}, generator on core {cores.tg}; the switch between them"
                f" is a third poller, on {where}{shared}"
            ),
            notes=tuple(filter(None, (cores.note, pair.note))),
        )


WIRE = Wire(
    name="pvp",
    topology=Pvp,
    generator="nm-load",
    window=veth.WIRE,
    up=up,
    null_responder=nic.WIRE.null_responder,  # asked over the server's NIC: between machines only
    tried=lambda: tried.pair_why_not() or tried.raw_why_not(),
)
