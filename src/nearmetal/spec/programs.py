"""The names of the programs that a row starts, in the form that build/programs.py uses."""

from __future__ import annotations

from collections.abc import Sequence

from nearmetal.machine.vm import qemu
from nearmetal.spec.rungs import Rung
from nearmetal.topology import known

TENDER = "nm-tender"  # starts and supervises the images of the place ukp
INIT = "nm-guest-init"  # the first process of a Linux guest
GUEST_KERNEL = "guest-kernel"
RELAY = "nm-relay"  # copies frames between a server on vhost-user and a tap or raw socket
PROBE = "nm-uk-probe"  # measures the speed of an accelerator (machine/vm/accelerator.py)


def program_of(rung: Rung, service: str) -> str:
    """Return the program that answers the requests to a rung."""
    if rung.uses is not None and rung.uses.is_python:
        return "python"
    if rung.place == "image":
        return qemu.PROGRAM  # the spec names what it boots
    if rung.program is not None:
        return rung.program
    if rung.place in ("guest", "uk", "ukp"):
        return f"nm-{rung.place}-{rung.datapath}-{service}"
    return f"nm-{rung.datapath}-{service}"


def programs_of_serving(rung: Rung, service: str) -> list[str]:
    """Return the programs that `serve` starts for a rung."""
    names = [program_of(rung, service)]
    if rung.place == "ukp" or rung.machine is not None:
        names += [*programs_beside(rung), RELAY]  # the relay leads to a tap device
        names.remove(rung.generator)
    return names


def programs_of_row(rung: Rung, services: Sequence[str]) -> list[str]:
    """Return every program that a row starts, measured or served."""
    names = [program_of(rung, service) for service in services] + programs_beside(rung)
    return [*names, *programs_of_serving(rung, services[0])]


def programs_beside(rung: Rung) -> list[str]:
    """Return the other programs that a row needs: generator, tender, VMM, probe, relay, switch."""
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
        names.append(RELAY)  # carries the questions of the quick corpus
    if wire.switched:
        names.append("dpdk-testpmd")  # the switch
    return names
