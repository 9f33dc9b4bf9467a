"""The place `uk`: a unikernel in its own virtual machine (machine/vm/).

The image's options, which are those of any DUT, are on its kernel command line. The rings of its
NIC are in the machine's memory, which it shares with the generator: QEMU passes on both, and does
not handle frames.
"""

from __future__ import annotations

from nearmetal.dut.command import Command, Launch
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.qemu import Machine
from nearmetal.topology.standing import Virtual

# Memory besides the store: image, stack, page tables, and rings and frames of both directions.
MEMORY_BYTES = 16 << 20
_PAGE_BYTES = 2 << 20


def command(launch: Launch) -> Command:
    """Return the command for the row's image in its virtual machine."""
    return Command(
        (),
        says_ready=True,
        turns="counters",
        answers_arp=launch.rung.place == "uk",
        machine=_machine(launch),
    )


def _machine(launch: Launch) -> Machine:
    """Return the virtual machine that boots the image."""
    rung, topology, accelerator = launch.rung, launch.topology, launch.accelerator
    assert rung.machine is not None and rung.ring is not None
    assert isinstance(topology, Virtual) and accelerator is not None
    beside = -(-launch.memory_bytes // _PAGE_BYTES) * _PAGE_BYTES
    return Machine(
        kernel=launch.image,
        command_line=qemu.append(launch.words()),
        memory_bytes=MEMORY_BYTES + beside,
        accelerator=accelerator,
        type=rung.machine,
        nics=(topology.vm_nic(rung.ring),),
    )
