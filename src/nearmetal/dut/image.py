"""The place `image`: whatever a spec boots, measured by address and port.

Nothing is known of it but who answers: it says no `ready`, tells no counters and takes no bytes on
its serial line. QEMU is told to end when its trial is over.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

from nearmetal.dut.command import Command, Launch
from nearmetal.machine.vm.qemu import Machine
from nearmetal.spec.rungs import Image
from nearmetal.topology.standing import Virtual


def command(launch: Launch) -> Command:
    """The spec's image, in its machine. The wire is memory, so any address will do."""
    rung, topology, accelerator = launch.rung, launch.topology, launch.accelerator
    image = rung.image
    assert image is not None and rung.machine is not None and rung.ring is not None
    assert isinstance(topology, Virtual) and accelerator is not None
    machine = Machine(
        kernel=Path(image.kernel),
        command_line=image.cmdline,
        memory_bytes=image.memory_bytes,
        accelerator=accelerator,
        type=rung.machine,
        initrd=Path(image.initrd) if image.initrd else None,
        nics=(topology.vm_nic(rung.ring),),
        options=image.options,
    )
    return Command(
        (), says_ready=False, machine=machine, address=image.address, source=asker(image)
    )


def asker(image: Image) -> str:
    """Who asks it: the first address of its /24, where others expect a gateway; or the second."""
    address = IPv4Address(image.address)
    first = IPv4Address(int(address) & 0xFFFFFF00) + 1
    return str(first if first != address else first + 1)
