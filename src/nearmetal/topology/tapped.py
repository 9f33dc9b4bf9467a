"""Code shared by the wires on a tap device: the device in its own network namespace.

Its other end is a virtual machine's NIC. The wires differ in what carries the frames.
"""

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
    """Make a tap device; yield the fields of its topology.

    name: the start of the device's name. carrier: what carries the frames, for the placement.
    """
    with netns.tap_apart(open_journal(), name) as ends:
        yield {
            "sut_netns": str(ends.sut.netns),  # QEMU opens the device here
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
