"""A wire that is up, in the form of topology.json: addresses, cores, and its own fields.

Each wire's file (wires/) has a class with the fields that only this wire has; this module has the
shared fields. Addresses and interfaces are those of both ends: SUT and TG.
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
    """One wire that is up."""

    wire: str
    sut_netns: str | None
    tg_netns: str | None
    sut_addr: str
    tg_addr: str
    subnet: str  # the generator's subnet, which servers admit
    sut_iface: str  # "" where the kernel has no interface for it
    tg_iface: str
    sut_cpu: int
    tg_cpu: int
    control_cpus: tuple[int, ...]  # cores of the Python process
    directory: str | None = None  # the run's own folder for sockets and DPDK's files
    hugepages_bytes: int = 0  # free for the server in the kernel's pool
    placement: str  # which core does what, in words
    generator: str | None = None  # the edition that sends the load; None: the wire's only one
    notes: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _its_own(cls, data: Any) -> Any:
        """Drop empty fields of other wires: files up to version 2 have the fields of all wires."""
        if not isinstance(data, dict):
            return data
        empty: tuple[object, ...] = (None, 0, (), [])
        return {k: v for k, v in data.items() if k in cls.model_fields or v not in empty}

    @classmethod
    def served(cls, addr: str, subnet: str, **own: object) -> Self:
        """Return a topology with the server's end only, for any client; own: the class's fields."""
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
    """A wire that may end at a NIC whose frames a program handles itself, by DPDK."""

    port: tuple[str, ...] = ()  # EAL arguments for the data NIC


class Virtual(Topology):
    """A wire where the server's NIC is a virtio device, as in a virtual machine."""

    sut_mac: str  # MAC address of the server's device
    vmm_cpu: int | None = None  # core of the VMM's threads other than the vCPU

    def vm_nic(self, ring: int) -> VhostUser | Tap:
        """Return the NIC of a virtual machine on this wire; ring: entries of each virtqueue."""
        raise NotImplementedError(f"{self.wire} has no NIC for a virtual machine")

    def vm_answered(self, vmm_pid: int) -> None:
        """Pin threads of a virtual machine that has answered: all its threads exist by then."""


class Socketed(Virtual):
    """A wire where the server and the generator or switch share a vhost-user socket."""

    @property
    def socket(self) -> Path:
        """Path of the vhost-user socket."""
        assert self.directory is not None
        return Path(self.directory) / "vhost"

    def vm_nic(self, ring: int) -> VhostUser | Tap:
        return VhostUser(self.socket, self.sut_mac, ring)


class Switched(Socketed, AtNic):
    """A wire with a switch between the generator's link and the server's socket."""

    switch_netns: str  # namespace of sut_iface, the switch's port
    switch_cpus: tuple[int, ...]  # cores that the switch polls on
    tg_mac: str | None = None  # destination of replies; None: replies are forwarded unchanged


def on_cores(cores: Cores) -> dict[str, Any]:
    """Return the fields of a topology that assign cores."""
    return {
        "sut_cpu": cores.sut,
        "tg_cpu": cores.tg,
        "control_cpus": tuple(sorted(cores.control)),
    }


def of_pair(pair: Wire) -> dict[str, Any]:
    """Return the address and interface fields of two ends that are kernel interfaces."""
    return {
        "sut_addr": pair.sut.addr,
        "tg_addr": pair.tg.addr,
        "subnet": pair.subnet,
        "sut_iface": pair.sut.iface,
        "tg_iface": pair.tg.iface,
    }
