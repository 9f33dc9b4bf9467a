"""The place `image`: any image that a spec boots, measured by address and port.

Only its address is known: it prints no `ready` line and no counters, and reads no bytes from its
serial line. QEMU is ended when its trial is over.
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
    """Return the command for the spec's image in its virtual machine.

    The wire is shared memory, so the image may use any address.
    """
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
    """Return the accelerator of a machine: the chosen one, changed by the image's QEMU options."""
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
    """Return the generator's address: the first of the image's /24, usually a gateway's.

    If the image has that address itself: the second one.
    """
    address = IPv4Address(image.address)
    first = IPv4Address(int(address) & 0xFFFFFF00) + 1
    return str(first if first != address else first + 1)
