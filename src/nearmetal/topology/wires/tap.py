"""tap: a virtual machine's NIC is a tap device, and QEMU carries the frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.links import tried
from nearmetal.machine.vm.qemu import Tap
from nearmetal.topology import tapped
from nearmetal.topology.standing import Virtual
from nearmetal.topology.wire import Device, Wire
from nearmetal.topology.wires import veth


class OnTap(Virtual):
    """The tap device."""

    wire: Literal["tap"] = "tap"

    def vm_nic(self, ring: int) -> Tap:
        """Return the NIC; ring is ignored: QEMU's rings for a tap device have 256 entries."""
        return Tap(self.tg_iface, self.sut_mac)


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[OnTap]:
    """Make the device in its own network namespace."""
    del hugepages_bytes  # for servers on vhost-user only
    with tapped.device(cores, "tap", "QEMU's main loop") as fields:
        yield OnTap.model_validate(fields)


WIRE = Wire(
    name="tap",
    topology=OnTap,
    generator="nm-load",
    window=veth.WIRE,
    up=up,
    tried=tried.tap_why_not,
    devices=(Device("dev/net/tun", "tun"),),
)
