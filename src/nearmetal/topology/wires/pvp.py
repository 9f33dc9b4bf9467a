"""pvp: a veth pair to a switch, and vhost-user from the switch to the server, as for guests.

The switch polls, so it runs during this wire's trials only (trial/start.py). Between machines the
switch runs on the server's machine, behind its data NIC (testbed/).
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
    """Both links, without the switch between them."""

    wire: Literal["pvp"] = "pvp"


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[Pvp]:
    """Make the two links that a switch joins."""
    del hugepages_bytes  # the switch reserves its own pages
    journal, directory = open_journal(), owner.state_directory() / owner.label("pvp")
    polled, switch = {cores.sut, cores.tg}, cores.switch
    where = f"core {switch[0]}" if len(switch) == 1 else f"cores {', '.join(map(str, switch))}"
    shared = " (shared: there is no other core)" if polled & set(switch) else ""
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
    null_responder=nic.WIRE.null_responder,  # on the server's NIC: between machines only
    tried=lambda: tried.pair_why_not() or tried.raw_why_not(),
)
