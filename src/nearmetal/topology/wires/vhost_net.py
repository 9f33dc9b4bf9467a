"""vhost-net: as tap, but the host's kernel carries the frames, and not QEMU."""

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
    """The device, standing."""

    wire: Literal["vhost-net"] = "vhost-net"

    def vm_nic(self, ring: int) -> Tap:
        """QEMU has rings of 256 for it, and no longer ones."""
        return Tap(self.tg_iface, self.sut_mac, vhost=True)

    def vm_answered(self, vmm_pid: int) -> None:
        """The kernel's threads that carry the frames go where QEMU's own are."""
        if self.vmm_cpu is not None:
            steering.pin_carriers(vmm_pid, self.vmm_cpu)


@contextmanager
def up(cores: Cores, hugepages_bytes: int) -> Iterator[VhostNet]:
    """The device, in a namespace of its own."""
    del hugepages_bytes  # of servers on vhost-user
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
