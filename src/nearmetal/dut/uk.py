"""The place `uk`: a unikernel in a virtual machine of its own (machine/vm/).

The image's options stand on its kernel's command line, as those of any DUT on its own. Its NIC's
rings lie in the machine's memory, which is shared with the generator: QEMU hands both over, and
takes no part in any frame.
"""

from __future__ import annotations

from pathlib import Path

from nearmetal.build.programs import Build, program_of
from nearmetal.dut.command import Command, options
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.qemu import Machine, Tap, VhostUser
from nearmetal.samples import Accelerator
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology.standing import Topology, Virtual

# Beside the store: image, stack, page tables, rings, and the frames of both.
MEMORY_BYTES = 16 << 20
_PAGE_BYTES = 2 << 20


def command(
    rung: Rung,
    service: Service,
    build: Build,
    topology: Topology,
    memory_bytes: int,
    port: int,
    accelerator: Accelerator,
) -> Command:
    """The row's image, in its machine."""
    assert isinstance(topology, Virtual) and rung.ring is not None
    image = Path(build.programs[program_of(rung, service)].path)
    nic = topology.vm_nic(rung.ring)
    words = options(rung, topology, memory_bytes, port)
    return Command(
        (),
        says_ready=True,
        turns="counters",
        answers_arp=rung.place == "uk",
        machine=machine(rung, image, words, memory_bytes, nic, accelerator),
    )


def machine(
    rung: Rung,
    image: Path,
    words: list[str],
    store_bytes: int,
    nic: VhostUser | Tap,
    accelerator: Accelerator,
) -> Machine:
    """What the image of a rung boots in."""
    assert rung.machine is not None
    beside = -(-store_bytes // _PAGE_BYTES) * _PAGE_BYTES
    return Machine(
        kernel=image,
        command_line=qemu.append(words),
        memory_bytes=MEMORY_BYTES + beside,
        accelerator=accelerator,
        type=rung.machine,
        nics=(nic,),
    )
