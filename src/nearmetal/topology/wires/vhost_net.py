"""vhost-net: a virtual machine's NIC is a tap device, and the host's kernel carries the frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.links import steering, tried
from nearmetal.machine.vm.qemu import Tap
from nearmetal.topology import tapped
from nearmetal.topology.standing import Virtual
from nearmetal.topology.wire import Device, Wire
from nearmetal.topology.wires import veth


class VhostNet(Virtual):
    """The tap device."""

    wire: Literal["vhost-net"] = "vhost-net"

    def vm_nic(self, ring: int) -> Tap:
        """Return the NIC; ring is ignored: QEMU's rings for a tap device have 256 entries."""
        return Tap(self.tg_iface, self.sut_mac, vhost=True)

    def vm_answered(self, vmm_pid: int) -> None:
        """Pin the kernel's threads that carry the frames to the core of QEMU's own threads."""
        if self.vmm_cpu is not None:
            steering.pin_carriers(vmm_pid, self.vmm_cpu)


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[VhostNet]:
    """Make the device in its own network namespace."""
    del hugepages_bytes  # for servers on vhost-user only
    carrier = "a thread of the host's kernel (vhost-net)"
    with tapped.device(cores, "vtp", carrier) as fields:
        yield VhostNet.model_validate(fields)


WIRE = Wire(
    name="vhost-net",
    topology=VhostNet,
    generator="nm-load",
    window=veth.WIRE,
    up=up,
    tried=tried.tap_why_not,
    devices=(Device("dev/net/tun", "tun"), Device("dev/vhost-net", "vhost_net")),
)
