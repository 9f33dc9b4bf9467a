"""Stage 3: the wire between generator and server, and which core does what.

`up` brings it up and takes it down again, in reverse, however the body ends; what a kill leaves
behind is in the journal. Root gets `veth`: two namespaces of our own. Without root it is `lo`, and
the result says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from nearmetal.lab import cpus, netns, steering
from nearmetal.lab.cpus import Cores
from nearmetal.lab.journal import Journal, open_journal
from nearmetal.lab.process import Where
from nearmetal.samples import Frozen

WireName = Literal["veth", "lo"]


class Topology(Frozen):
    """What stands while a run measures (topology.json)."""

    version: int = 1
    wire: WireName
    sut_netns: str | None
    tg_netns: str | None
    sut_addr: str
    tg_addr: str
    subnet: str  # the generator's; what servers admit
    sut_iface: str
    tg_iface: str
    sut_cpu: int
    tg_cpu: int
    control_cpus: tuple[int, ...]  # where Python waits
    napi_pid: int | None = None  # the thread that does the receive processing of the SUT's end
    placement: str  # in words
    notes: tuple[str, ...] = ()

    @property
    def sut(self) -> Where:
        return Where(Path(self.sut_netns) if self.sut_netns else None, self.sut_cpu)

    @property
    def tg(self) -> Where:
        return Where(Path(self.tg_netns) if self.tg_netns else None, self.tg_cpu)


@contextmanager
def up(wire: WireName | None = None) -> Iterator[Topology]:
    """The wire, up; None: the best that we may have."""
    cores = cpus.choose(cpus.allowed())
    if wire is None:
        wire = "veth" if os.geteuid() == 0 else "lo"
    if wire == "lo":
        yield _loopback(cores)
        return
    with _veth(open_journal(), cores) as topology:
        yield topology


@contextmanager
def _veth(journal: Journal, cores: Cores) -> Iterator[Topology]:
    with netns.veth(journal) as pair:
        thread = steering.pin_receive(pair.sut, cores.sut)
        notes = [cores.note] if cores.note else []
        if thread is None:
            notes.append("the kernel's receive thread cannot be seen here, so it is not pinned")
        yield Topology(
            wire="veth",
            sut_netns=str(pair.sut.netns),
            tg_netns=str(pair.tg.netns),
            sut_addr=pair.sut.addr,
            tg_addr=pair.tg.addr,
            subnet=pair.subnet,
            sut_iface=pair.sut.iface,
            tg_iface=pair.tg.iface,
            sut_cpu=cores.sut,
            tg_cpu=cores.tg,
            control_cpus=tuple(sorted(cores.control)),
            napi_pid=thread,
            placement=(
                f"server and all receive processing on core {cores.sut} (its own in a NAPI"
                f" thread), generator on core {cores.tg}"
            ),
            notes=tuple(notes),
        )


def _loopback(cores: Cores) -> Topology:
    notes = ["without root the wire is lo: receive processing is done by the sender's core"]
    return Topology(
        wire="lo",
        sut_netns=None,
        tg_netns=None,
        sut_addr="127.0.0.1",
        tg_addr="127.0.0.1",
        subnet="127.0.0.0/8",
        sut_iface="lo",
        tg_iface="lo",
        sut_cpu=cores.sut,
        tg_cpu=cores.tg,
        control_cpus=tuple(sorted(cores.control)),
        placement=(
            f"server on core {cores.sut}, generator on core {cores.tg},"
            " each doing the other's receive processing"
        ),
        notes=tuple([*notes, cores.note] if cores.note else notes),
    )
