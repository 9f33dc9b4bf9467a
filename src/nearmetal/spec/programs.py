"""What a row starts: the names of its programs, as a build has them (build/programs.py)."""

from __future__ import annotations

from nearmetal.machine.vm import qemu
from nearmetal.spec.rungs import Rung
from nearmetal.topology import known

TENDER = "nm-tender"  # starts and tends the images of the place ukp
INIT = "nm-guest-init"  # the first process of a Linux guest
GUEST_KERNEL = "guest-kernel"
RELAY = "nm-relay"  # between a server on vhost-user and what carries its frames
PROBE = "nm-uk-probe"  # tells how fast an accelerator is (machine/vm/accelerator.py)


def program_of(rung: Rung, service: str) -> str:
    """What answers for a rung."""
    if rung.uses is not None and rung.uses.is_python:
        return "python"
    if rung.place == "image":
        return qemu.PROGRAM  # what it boots is the spec's
    if rung.program is not None:
        return rung.program
    if rung.place in ("guest", "uk", "ukp"):
        return f"nm-{rung.place}-{rung.datapath}-{service}"
    return f"nm-{rung.datapath}-{service}"


def programs_of_serving(rung: Rung, service: str) -> list[str]:
    """What `serve` starts."""
    names = [program_of(rung, service)]
    if rung.place == "ukp" or rung.machine is not None:
        names += [*programs_beside(rung), RELAY]  # to a tap device
        names.remove(rung.generator)
    return names


def programs_of_row(rung: Rung) -> list[str]:
    """All that a row starts, measured or served."""
    names = [program_of(rung, service) for service in rung.services] + programs_beside(rung)
    return [*names, *programs_of_serving(rung, rung.services[0])]


def programs_beside(rung: Rung) -> list[str]:
    """What else a row of it needs: its generator, and what starts, asks or joins it."""
    names, wire = [rung.generator], known.find(rung.wire)
    if rung.absent is not None:
        return names
    if rung.place == "ukp":
        names.append(TENDER)
    if rung.machine is not None:
        names += [qemu.PROGRAM, PROBE]
    if rung.place == "guest":
        names += [INIT] if rung.kernel else [INIT, GUEST_KERNEL]
    if wire.shares_memory and rung.place not in ("reference", "image"):
        names.append(RELAY)  # carries the quick corpus
    if wire.switched:
        names.append("dpdk-testpmd")  # the switch
    return names
