"""Stage 3: the wires between generator and server, and which core does what.

`up` brings one up and takes it down again, in reverse, however the body ends; what a kill leaves
behind is in the journal. `up_all` does so for every wire that the rows of a run need:

    veth        two namespaces of our own; needs root. Without it `lo`, and the result says so.
    vhost-user  a folder for sockets and, for DPDK, pages of the kernel's pool. No kernel between.
    tap         a tap device in a namespace of our own, whose other end is a virtual machine's NIC;
    vhost-net   the same, carried by the host's kernel and not by QEMU. Both need root.
    pvp         both: a veth to a switch, and vhost-user from there on. The switch polls, so it runs
                during this wire's trials only (trial/start.py). Needs root.

Between machines (testbed/) the wire is `nic`, or `pvp` where a switch is behind the server's NIC.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from nearmetal.machine.cores import cpus
from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.journal import Journal, open_journal
from nearmetal.machine.links import netns, offloads, steering
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.process import Where
from nearmetal.machine.tune.apply import Applied
from nearmetal.samples import Frozen
from nearmetal.spec import rungs

WireName = Literal["veth", "lo", "vhost-user", "tap", "vhost-net", "pvp", "nic"]

# Locally administered, as those of the veth pair.
_SUT_MAC = "02:00:00:00:00:01"
_BEHIND_SWITCH_MAC = "02:00:00:00:00:03"


class Topology(Frozen):
    """One wire, standing."""

    wire: WireName
    sut_netns: str | None
    tg_netns: str | None
    sut_addr: str
    tg_addr: str
    subnet: str  # the generator's; what servers admit
    sut_iface: str  # "" where the kernel has none
    tg_iface: str
    sut_cpu: int
    tg_cpu: int
    control_cpus: tuple[int, ...]  # where Python waits
    napi_pid: int | None = None  # the thread that does the receive processing of the SUT's end
    sut_mac: str | None = None  # vhost-user: the server's, given to its device
    directory: str | None = None  # vhost-user: where sockets are made
    hugepages_bytes: int = 0  # free for the server in the kernel's pool
    switch_netns: str | None = None  # pvp: where sut_iface is, which the switch takes
    switch_cpus: tuple[int, ...] = ()  # pvp: where it polls
    vmm_cpu: int | None = None  # vhost-user, pvp: of a guest's VMM, all but the vCPU
    tg_mac: str | None = None  # pvp: where it sends replies
    port: tuple[str, ...] = ()  # between machines: the data NIC for DPDK, as EAL arguments
    placement: str  # in words
    notes: tuple[str, ...] = ()

    @property
    def socket(self) -> Path:
        """vhost-user: where generator and server meet."""
        assert self.directory is not None
        return Path(self.directory) / "vhost"

    @property
    def sut(self) -> Where:
        return Where(Path(self.sut_netns) if self.sut_netns else None, self.sut_cpu)

    @property
    def tg(self) -> Where:
        return Where(Path(self.tg_netns) if self.tg_netns else None, self.tg_cpu)


class Topologies(Frozen):
    """What stands while a run measures (topology.json)."""

    version: int = 2
    wires: tuple[Topology, ...]
    machine: tuple[Applied, ...] = ()  # what the spec's [machine] asked, and what came of it

    def of(self, wire: rungs.WireName) -> Topology:
        """The rung's wire as it stands; lo stands in for veth."""
        names = (wire,) if wire in ("vhost-user", "nic") else ("lo", wire)
        return next(top for top in self.wires if top.wire in names)

    @property
    def control_cpus(self) -> frozenset[int]:
        """The same for all wires: cores are chosen once."""
        return frozenset(self.wires[0].control_cpus)


@contextmanager
def up_all(wires: Iterable[rungs.WireName], hugepages_bytes: int = 0) -> Iterator[Topologies]:
    """Every wire that a run needs, each the best that we may have; none is between machines."""
    needed = sorted({*wires} - {"nic"}) or ["veth"]
    with ExitStack() as stack:
        standing = [stack.enter_context(up(wire, hugepages_bytes)) for wire in needed]
        yield Topologies(wires=tuple(standing))


@contextmanager
def up(wire: WireName, hugepages_bytes: int = 0) -> Iterator[Topology]:
    """One wire. veth is lo without root; hugepages_bytes: what servers on vhost-user need."""
    cores = cpus.choose(cpus.allowed())
    if wire == "vhost-user":
        with _vhost_user(open_journal(), cores, hugepages_bytes) as topology:
            yield topology
    elif wire == "pvp" and os.geteuid() == 0:
        with _pvp(open_journal(), cores) as topology:
            yield topology
    elif wire in rungs.TAPS and os.geteuid() == 0:
        with _tap(open_journal(), cores, wire) as topology:
            yield topology
    elif wire == "veth" and os.geteuid() == 0:
        with _veth(open_journal(), cores) as topology:
            yield topology
    else:
        yield _loopback(cores)


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


@contextmanager
def _vhost_user(journal: Journal, cores: Cores, needed_bytes: int) -> Iterator[Topology]:
    subnet = netns.free_subnet()
    directory = owner.state_directory() / f"nm-{os.getpid()}-vhost"
    notes = [cores.note] if cores.note else []
    with ExitStack() as stack:
        stack.enter_context(journal.holds("path", str(directory)))
        directory.mkdir(mode=0o700, parents=True)
        free_bytes = stack.enter_context(hugepages.reserved(journal, needed_bytes))
        if free_bytes < needed_bytes:
            notes.append(
                f"too few free 2 MiB pages ({free_bytes >> 20} of {needed_bytes >> 20} MiB):"
                " programs that want them use small pages"
            )
        stack.enter_context(journal.holds("process", "what was started on the wire"))
        yield Topology(
            wire="vhost-user",
            sut_netns=None,
            tg_netns=None,
            sut_addr=str(subnet[1]),
            tg_addr=str(subnet[2]),
            subnet=str(subnet),
            sut_iface="",
            tg_iface="",
            sut_cpu=cores.sut,
            tg_cpu=cores.tg,
            control_cpus=tuple(sorted(cores.control)),
            vmm_cpu=cores.vmm,
            sut_mac=_SUT_MAC,
            directory=str(directory),
            hugepages_bytes=free_bytes if free_bytes >= needed_bytes else 0,
            placement=(
                f"server on core {cores.sut}, generator on core {cores.tg}, both polling memory"
                " that they share; the kernel takes no part"
            ),
            notes=tuple(notes),
        )


@contextmanager
def _tap(journal: Journal, cores: Cores, wire: WireName) -> Iterator[Topology]:
    carrier = "QEMU's main loop" if wire == "tap" else "a thread of the host's kernel (vhost-net)"
    with netns.tap_apart(journal, "tap" if wire == "tap" else "vtp") as ends:
        yield Topology(
            wire=wire,
            sut_netns=str(ends.sut.netns),  # where QEMU finds the device
            tg_netns=str(ends.tg.netns),
            sut_addr=ends.sut.addr,
            tg_addr=ends.tg.addr,
            subnet=ends.subnet,
            sut_iface="",
            tg_iface=ends.tg.iface,
            sut_cpu=cores.sut,
            tg_cpu=cores.tg,
            control_cpus=tuple(sorted(cores.control)),
            vmm_cpu=cores.vmm,
            sut_mac=ends.sut.mac,
            placement=(
                f"virtual processor on core {cores.sut}, generator on core {cores.tg}; {carrier}"
                " carries every frame between the guest's rings and the tap device"
            ),
            notes=(cores.note,) if cores.note else (),
        )


@contextmanager
def _pvp(journal: Journal, cores: Cores) -> Iterator[Topology]:
    directory = owner.state_directory() / f"nm-{os.getpid()}-pvp"
    polled, switch = {cores.sut, cores.tg}, cores.switch
    where = f"core {switch[0]}" if len(switch) == 1 else f"cores {', '.join(map(str, switch))}"
    shared = " (theirs: there is no other)" if polled & set(switch) else ""
    with ExitStack() as stack:
        pair = stack.enter_context(netns.tapped(journal, here=False))
        offloads.tx_checksums_on_send(pair.tg)
        netns.neighbour(pair.tg, pair.sut.addr, pair.sut.mac)
        stack.enter_context(journal.holds("path", str(directory)))
        directory.mkdir(mode=0o700, parents=True)
        yield Topology(
            wire="pvp",
            sut_netns=None,
            tg_netns=str(pair.tg.netns),
            sut_addr=pair.sut.addr,
            tg_addr=pair.tg.addr,
            subnet=pair.subnet,
            sut_iface=pair.sut.iface,
            tg_iface=pair.tg.iface,
            sut_cpu=cores.sut,
            tg_cpu=cores.tg,
            control_cpus=tuple(sorted(cores.control)),
            vmm_cpu=cores.vmm,
            sut_mac=_BEHIND_SWITCH_MAC,
            directory=str(directory),
            switch_netns=str(pair.sut.netns),
            switch_cpus=switch,
            tg_mac=pair.tg.mac,
            placement=(
                f"server on core {cores.sut}, generator on core {cores.tg}; the switch between them"
                f" is a third poller, on {where}{shared}"
            ),
            notes=(cores.note,) if cores.note else (),
        )
