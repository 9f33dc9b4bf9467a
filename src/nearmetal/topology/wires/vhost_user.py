"""vhost-user: rings in memory that generator and server both map, without the kernel between.

The wire is a folder for sockets, and huge pages of the kernel's pool for servers that need them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import networks
from nearmetal.machine.links.frames import SUT_MAC
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes import owner
from nearmetal.topology.standing import Socketed, on_cores
from nearmetal.topology.wire import Wire


class VhostUser(Socketed):
    """The folder, and the bytes of huge pages."""

    wire: Literal["vhost-user"] = "vhost-user"


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[VhostUser]:
    """Make the folder and reserve huge pages; if there are too few, none are used."""
    journal, subnet = open_journal(), networks.OWN  # only inside frames that no kernel handles
    directory = owner.state_directory() / owner.label("vhost")
    notes = [cores.note] if cores.note else []
    with ExitStack() as stack:
        stack.enter_context(journal.folder(directory))
        free_bytes = stack.enter_context(hugepages.reserved(journal, hugepages_bytes))
        if free_bytes < hugepages_bytes:
            notes.append(
                f"small pages: {free_bytes >> 20} of {hugepages_bytes >> 20} MiB in free 2 MiB"
                " pages are too few, so programs that need them use small ones"
            )
        stack.enter_context(journal.holds("process", "what was started on the wire"))
        yield VhostUser(
            sut_netns=None,
            tg_netns=None,
            sut_addr=str(subnet[1]),
            tg_addr=str(subnet[2]),
            subnet=str(subnet),
            sut_iface="",
            tg_iface="",
            **on_cores(cores),
            vmm_cpu=cores.vmm,
            sut_mac=SUT_MAC,
            directory=str(directory),
            hugepages_bytes=free_bytes if free_bytes >= hugepages_bytes else 0,
            placement=(
                f"server on core {cores.sut}, generator on core {cores.tg}, both polling memory"
                " that they share; the kernel takes no part"
            ),
            notes=tuple(notes),
        )


WIRE = Wire(
    name="vhost-user",
    topology=VhostUser,
    generator="nm-load-vhost",
    window=256,
    up=up,
    null_responder="ceiling",
)
