"""Multiboot kernels on a microvm: their command line must name the NIC's place.

A microvm has no bus to scan, so its devices are listed on the kernel's command line. QEMU
(hw/i386/microvm.c) adds them when the machine starts, but a multiboot kernel gets the line as it
was before. The NIC is at the same place in all our microvms: the first device takes the last of
eight transports.
"""

from __future__ import annotations

import struct
from pathlib import Path

from nearmetal.machine.vm.qemu import MachineType

NIC = "virtio_mmio.device=512@0xfeb00e00:12"  # bytes, address, interrupt
_NAME = NIC.partition("=")[0]
_MAGIC = 0x1BADB002  # Multiboot 0.6.96, 3.1.1
_LOOKED_AT_BYTES = 8192  # the header must begin within these


def told(kernel: Path, machine: MachineType, cmdline: str) -> str:
    """Return the command line, with the NIC's place in front where QEMU does not add it."""
    if machine != "microvm" or _NAME in cmdline or not is_multiboot(kernel):
        return cmdline
    return f"{NIC} {cmdline}".rstrip()


def is_multiboot(kernel: Path) -> bool:
    """Whether the file begins with a multiboot header: magic, flags, and a checksum (sum 0)."""
    with kernel.open("rb") as file:
        head = file.read(_LOOKED_AT_BYTES)
    for at in range(0, len(head) - 11, 4):
        magic, flags, checksum = struct.unpack_from("<III", head, at)
        if magic == _MAGIC and (magic + flags + checksum) % (1 << 32) == 0:
            return True
    return False
