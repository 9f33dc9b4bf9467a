"""A wire that stands, as topology.json has it: addresses, cores, and what is its own.

Each wire's file (wires/) has a class for it with the fields that no other has; what several have in
common is here. Addresses and interfaces are of both ends: SUT and TG.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.links.netns import Wire
from nearmetal.machine.processes.process import Where
from nearmetal.machine.vm.qemu import Tap, VhostUser
from nearmetal.samples import Frozen


class Topology(Frozen):
    """One wire, standing."""

    wire: str
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
    directory: str | None = None  # a folder of the run's own: for sockets, and for DPDK's files
    hugepages_bytes: int = 0  # free for the server in the kernel's pool
    placement: str  # in words
    notes: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _its_own(cls, data: Any) -> Any:
        """Up to version 2 of topology.json each wire had the fields of all, empty where they were
        another's."""
        if not isinstance(data, dict):
            return data
        empty: tuple[object, ...] = (None, 0, (), [])
        return {k: v for k, v in data.items() if k in cls.model_fields or v not in empty}

    @classmethod
    def served(cls, addr: str, subnet: str, **own: object) -> Self:
        """The server's end alone, for clients that are not ours; own: fields of the class."""
        ends = {"sut_netns": None, "tg_netns": None, "sut_iface": "", "tg_iface": ""}
        cores = {"sut_cpu": 0, "tg_cpu": 0, "control_cpus": (), "placement": ""}
        known = {"wire": "served", "sut_addr": addr, "tg_addr": "", "subnet": subnet}
        return cls.model_validate({**ends, **cores, **known, **own})

    @property
    def sut(self) -> Where:
        return Where(Path(self.sut_netns) if self.sut_netns else None, self.sut_cpu)

    @property
    def tg(self) -> Where:
        return Where(Path(self.tg_netns) if self.tg_netns else None, self.tg_cpu)


class AtNic(Topology):
    """Between machines the data NIC is taken from the kernel, where a program wants its frames."""

    port: tuple[str, ...] = ()  # the data NIC for DPDK, as EAL arguments


class Virtual(Topology):
    """The server's NIC is a virtqueue, as a virtual machine's is."""

    sut_mac: str  # given to the server's device
    vmm_cpu: int | None = None  # of a guest's VMM, all but the vCPU

    def vm_nic(self, ring: int) -> VhostUser | Tap:
        """The NIC of a virtual machine on it; ring: entries of each virtqueue."""
        raise NotImplementedError(f"{self.wire} has no NIC for a virtual machine")

    def vm_answered(self, vmm_pid: int) -> None:
        """A virtual machine on it has answered: its threads are all there, and can be pinned."""


class Socketed(Virtual):
    """The server meets generator or switch at a vhost-user socket."""

    @property
    def socket(self) -> Path:
        """Where they meet."""
        assert self.directory is not None
        return Path(self.directory) / "vhost"

    def vm_nic(self, ring: int) -> VhostUser | Tap:
        return VhostUser(self.socket, self.sut_mac, ring)


class Switched(Socketed, AtNic):
    """A switch is between the generator's link and the server's socket."""

    switch_netns: str  # where sut_iface is, which the switch takes
    switch_cpus: tuple[int, ...]  # where it polls
    tg_mac: str | None = None  # where it sends replies; None: as they are addressed


def on_cores(cores: Cores) -> dict[str, Any]:
    """The fields that say which core does what."""
    return {
        "sut_cpu": cores.sut,
        "tg_cpu": cores.tg,
        "control_cpus": tuple(sorted(cores.control)),
    }


def of_pair(pair: Wire) -> dict[str, Any]:
    """The fields of two ends that are links of the kernel."""
    return {
        "sut_addr": pair.sut.addr,
        "tg_addr": pair.tg.addr,
        "subnet": pair.subnet,
        "sut_iface": pair.sut.iface,
        "tg_iface": pair.tg.iface,
    }
