"""The place `guest`: one of our servers on Linux in a virtual machine.

The image (dut/guest_image.py) is made from the distribution's kernel, the guest's first process and
a statically linked edition of the host's program; options are on the kernel's command line. For a
datagram datapath the guest's kernel drives the NIC; DPDK drives the NIC itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from nearmetal.build import guest_kernel
from nearmetal.build.guest_kernel import Kernel
from nearmetal.dut import guest_image
from nearmetal.dut.command import Command, Launch
from nearmetal.dut.guest_cmdline import Guest, command_line
from nearmetal.machine.vm.qemu import Machine, Tap, VhostUser
from nearmetal.samples import Accelerator
from nearmetal.spec.programs import INIT
from nearmetal.spec.rungs import Rung
from nearmetal.topology.standing import Virtual

# Memory besides the store: Linux with its page tables and buffers, DPDK's memory included.
MEMORY_BYTES = 112 << 20
_STORE_SHARE = 64  # Linux describes each page of 4 KiB in 64 bytes
_HUGEPAGE_BYTES = 2 << 20
_DPDK_BYTES = 16 << 20  # DPDK's own memory, and the buffers of one port
# uio supports physical addresses only, and so does a NIC that is not behind the emulated IOMMU.
_EAL = ("--iova-mode=pa", "--in-memory", "--no-telemetry", "--lcores", "0")


@dataclass(frozen=True)
class Inside:
    """The parts of a guest's image."""

    kernel: Kernel
    init: Path
    server: Path


def command(launch: Launch) -> Command:
    """Return the command for the row's server in its virtual machine. Raises CannotRunError."""
    rung, topology = launch.rung, launch.topology
    assert isinstance(topology, Virtual) and rung.ring is not None
    assert launch.accelerator is not None
    kernel = guest_kernel.of(rung.kernel)
    inside = Inside(kernel, Path(launch.programs[INIT].path), launch.image)
    address = f"{launch.address}/{IPv4Network(topology.subnet).prefixlen}"
    told = said(rung, inside, launch.words(), address, launch.memory_bytes)
    nic = topology.vm_nic(rung.ring)
    return Command(
        (),
        says_ready=True,
        # For a datagram server the core's time suffices: time not used by it is the kernel's.
        turns="counters" if rung.in_frames else "",
        machine=machine(inside, told, nic, launch.accelerator),
    )


def said(rung: Rung, inside: Inside, words: list[str], address: str, store_bytes: int) -> Guest:
    """Return the contents of the guest's command line; words: the server's options."""
    if not rung.in_frames:
        return Guest(words, store_bytes, address=address)
    dpdk = ["--hugepages", "--", *_EAL, "-m", str(_DPDK_BYTES >> 20)]
    pages = -(-store_bytes // _HUGEPAGE_BYTES) + _DPDK_BYTES // _HUGEPAGE_BYTES
    return Guest([*words, *dpdk], store_bytes, driver=inside.kernel.driver, hugepages=pages)


def machine(
    inside: Inside, guest: Guest, nic: VhostUser | Tap, accelerator: Accelerator
) -> Machine:
    """Return the virtual machine that boots the guest."""
    linux = inside.kernel
    needed = linux.for_sockets() if guest.driver is None else linux.for_user_space()
    made = guest_image.make(linux, inside.init, inside.server, needed)
    beside = MEMORY_BYTES + guest.store_bytes // _STORE_SHARE + guest.store_bytes
    return Machine(
        kernel=Path(made.kernel),
        initrd=Path(made.initrd),
        command_line=command_line(guest),
        memory_bytes=-(-beside // _HUGEPAGE_BYTES) * _HUGEPAGE_BYTES,
        accelerator=accelerator,
        type="q35",
        nics=(nic,),
        # vfio-pci needs an IOMMU.
        options=("-device", "intel-iommu") if guest.driver == guest_kernel.VFIO_DRIVER else (),
    )
