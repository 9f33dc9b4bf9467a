"""What the wires on a tap device have in common: the device in a namespace of its own, whose other
end is a virtual machine's NIC. They differ in who carries the frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns
from nearmetal.topology.standing import on_cores


@contextmanager
def device(cores: Cores, name: str, carrier: str) -> Iterator[dict[str, Any]]:
    """The device, by what its name begins with; gives the fields of a topology."""
    with netns.tap_apart(open_journal(), name) as ends:
        yield {
            "sut_netns": str(ends.sut.netns),  # where QEMU finds the device
            "tg_netns": str(ends.tg.netns),
            "sut_addr": ends.sut.addr,
            "tg_addr": ends.tg.addr,
            "subnet": ends.subnet,
            "sut_iface": "",
            "tg_iface": ends.tg.iface,
            **on_cores(cores),
            "vmm_cpu": cores.vmm,
            "sut_mac": ends.sut.mac,
            "placement": (
                f"virtual processor on core {cores.sut}, generator on core {cores.tg}; {carrier}"
                " carries every frame between the guest's rings and the tap device"
            ),
            "notes": tuple(filter(None, (cores.note, ends.note))),
        }
