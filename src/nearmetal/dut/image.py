"""The place `image`: whatever a spec boots, measured by address and port.

Nothing is known of it but who answers: it says no `ready`, tells no counters and takes no bytes on
its serial line. QEMU is told to end when its trial is over.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from itertools import pairwise
from pathlib import Path

from nearmetal.dut.command import Command, Launch
from nearmetal.machine.vm import multiboot
from nearmetal.machine.vm.qemu import Machine
from nearmetal.samples import Accelerator
from nearmetal.spec.rungs import Image
from nearmetal.topology.standing import Virtual

_ACCELERATOR = re.compile(r"(?:^|,)accel=(kvm|tcg)(?:[,:]|$)")


def command(launch: Launch) -> Command:
    """The spec's image, in its machine. The wire is memory, so any address will do."""
    rung, topology, accelerator = launch.rung, launch.topology, launch.accelerator
    image = rung.image
    assert image is not None and rung.machine is not None and rung.ring is not None
    assert isinstance(topology, Virtual) and accelerator is not None
    machine = Machine(
        kernel=Path(image.kernel),
        command_line=multiboot.told(Path(image.kernel), rung.machine, image.cmdline),
        memory_bytes=image.memory_bytes,
        accelerator=accelerator,
        type=rung.machine,
        initrd=Path(image.initrd) if image.initrd else None,
        nics=(topology.vm_nic(rung.ring),),
        legacy=image.legacy,
        options=image.options,
    )
    return Command(
        (), says_ready=False, machine=machine, address=image.address, source=asker(image)
    )


def run_by(image: Image | None, chosen: Accelerator | None) -> Accelerator | None:
    """What runs a machine: as chosen, or as the image's own words for QEMU have it instead."""
    if image is None or chosen is None:
        return chosen
    said = [word.removeprefix("-") if word.startswith("--") else word for word in image.options]
    replaced: dict[str, object] = {}
    for option, value in pairwise(said):
        accelerator = _ACCELERATOR.search(value)
        if option == "-cpu":
            replaced["cpu"] = value
        elif option in ("-machine", "-M") and accelerator:
            replaced["name"], replaced["forced"] = accelerator[1], True
    return chosen.model_copy(update=replaced)


def asker(image: Image) -> str:
    """Who asks it: the first address of its /24, where others expect a gateway; or the second."""
    address = IPv4Address(image.address)
    first = IPv4Address(int(address) & 0xFFFFFF00) + 1
    return str(first if first != address else first + 1)
