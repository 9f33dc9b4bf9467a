"""The place `uk`: a unikernel in a virtual machine of its own (machine/vm/).

The image's options stand on its kernel's command line, as those of any DUT on its own. Its NIC's
rings lie in the machine's memory, which is shared with the generator: QEMU hands both over, and
takes no part in any frame.
"""

from __future__ import annotations

from nearmetal.dut.command import Command, Launch
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.qemu import Machine
from nearmetal.topology.standing import Virtual

# Beside the store: image, stack, page tables, rings, and the frames of both.
MEMORY_BYTES = 16 << 20
_PAGE_BYTES = 2 << 20


def command(launch: Launch) -> Command:
    """The row's image, in its machine."""
    return Command(
        (),
        says_ready=True,
        turns="counters",
        answers_arp=launch.rung.place == "uk",
        machine=_machine(launch),
    )


def _machine(launch: Launch) -> Machine:
    """What the image boots in."""
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
