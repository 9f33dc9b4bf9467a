"""Find the rows that cannot run on this machine, and why; list what is missing, with the cost.

Changes nothing. `why_not` checks the machine, before anything is built; `skipped` checks the
programs and wires that were made for a run. Both use the same rules.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from nearmetal.build import guest_kernel
from nearmetal.build import programs as build
from nearmetal.build.groups import groups_of, package_groups, rows_of
from nearmetal.build.programs import Build
from nearmetal.machine import needs
from nearmetal.machine.links import xdp
from nearmetal.machine.memory import hugepages
from nearmetal.machine.vm import accelerator, qemu
from nearmetal.spec.datapaths import datapaths
from nearmetal.spec.experiment import Spec
from nearmetal.spec.programs import program_of, programs_beside
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology import known
from nearmetal.topology.bring_up import Topologies
from nearmetal.topology.wire import Wire

NO_NIC = "it is the limit of a NIC between machines, so it needs several machines: `testbed run`"


def why_not(rung: Rung) -> str | None:
    """Return why a rung cannot run here; None: it can."""
    return _judged(rung, rung.services, wire_why_not(rung), build.why_not)


def skipped(spec: Spec, build: Build, wires: Topologies) -> dict[str, str]:
    """Return the rungs of a run that cannot run here, by name, with the reason."""

    def lacking(program: str) -> str | None:
        if program in build.programs:
            return None
        return build.missing.get(program, f"{program} was not built")

    reasons = {
        row.rung.name: _judged(row.rung, row.services, _without_wire(row.rung, wires), lacking)
        for row in spec.rungs
    }
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _judged(
    rung: Rung,
    services: Iterable[Service],
    wire: str | None,
    lacking: Callable[[str], str | None],
) -> str | None:
    """Return why a rung cannot run; None: it can.

    wire: why its wire is unavailable; lacking: returns why a program is unavailable.
    """
    if rung.absent is not None or wire is not None:
        return rung.absent or wire
    programs = [program_of(rung, service) for service in services]
    reason = next(filter(None, map(lacking, [*programs, *programs_beside(rung)])), None)
    if rung.place == "host" and rung.uses is not None:
        reason = reason or needs.why_not(rung.uses.needs)
    return reason or (xdp.why_not() if "bpf" in groups_of(rung.name) else None)


def _without_wire(rung: Rung, wires: Topologies) -> str | None:
    """Return why its wire is not up in this run; None: it is, or the stand-in carries the row."""
    if wires.itself(rung.wire) is not None:
        return None
    wire, instead = known.find(rung.wire), wires.instead_of(rung.wire)
    if instead is not None and not _only_on(wire, rung):
        return None
    reason = wires.failed.get(wire.name) or wire_why_not(rung) or wire.why_not()
    if instead is None:
        return reason
    return f"the wire of this run is {instead.wire}, not {wire.name}" + (
        f": {reason}" if reason else ""
    )


def wire_why_not(rung: Rung, machine: Path = Path("/")) -> str | None:
    """Return why this machine can make neither its wire nor a stand-in; None: it can make one."""
    wire = known.find(rung.wire)
    if wire.between_machines:
        return NO_NIC
    reason, other = wire.why_not(machine), known.stand_in(wire)
    if reason is None or other is None or _only_on(wire, rung):
        return reason
    return reason if other.why_not(machine) else None


def _only_on(wire: Wire, rung: Rung) -> bool:
    """Whether a row makes no sense on the wire's stand-in: it shows the wire's limit, or needs an
    interface with a MAC address.
    """
    at_interface = rung.uses is not None and rung.uses.at_interface
    return at_interface or rung.name == wire.null_responder


def missing() -> Iterator[tuple[str, str]]:
    """Yield what is missing here, and what that costs."""
    for wire in known.known():
        other = known.stand_in(wire)
        if other is not None and (reason := wire.why_not()) is not None:
            gone = f"{wire.null_responder} is skipped"
            yield reason, f"the traffic goes over {other.name}, not {wire.name}; {gone}"
    if len(os.sched_getaffinity(0)) < 2:
        yield "a second core", "server and generator share a core: figures mean little"
    if reason := build.why_not("nm-load-ethdev"):
        yield reason, f"{rows_of('dpdk')}, and the generator's DPDK edition"
    for group in sorted(package_groups() - {"dpdk"}):
        libraries = {each.library for each in datapaths() if each.group == group}
        for reason in filter(None, map(build.library_why_not, libraries)):
            yield reason, rows_of(group)
    if lacking := qemu.why_not():
        rows = f"{rows_of('vm')}, and images that a spec adds"
        yield lacking, f"rows in virtual machines: {rows}"
    elif reason := accelerator.kvm_why_not():
        yield (
            reason,
            "virtual machines are emulated (TCG), far slower than with KVM on physical hardware",
        )
    if lacking := guest_kernel.why_not():
        yield lacking, "rows in Linux guests: guest-*, where the spec names no kernel"
    if small := _hugepages():
        yield small, "DPDK runs with small pages; large stores are slower"
    for tool, package, cost in (
        ("gcc", "gcc libc6-dev", "every rung but host-py, and the generator"),
        ("bpf-gcc", "gcc-bpf", f"{rows_of('bpf')}, and with them the generator's ceiling"),
    ):
        if shutil.which(tool) is None:
            yield f"{tool} (package {package})", cost
    for each in datapaths():
        if reason := needs.why_not(each.needs):
            yield reason, f"rows {', '.join(f'{place}-{each.name}' for place in each.places)}"
    if reason := build.fuzz_why_not():
        yield reason, "the fuzz targets of `test`"


def missing_to_ask() -> Iterator[tuple[str, str]]:
    """Yield what a machine that only generates load lacks, and the cost; it needs much less."""
    if len(os.sched_getaffinity(0)) < 2:
        yield "a second core", "the generator shares its core with everything else"
    if reason := build.why_not("nm-load"):
        yield reason, "the generator, unless it is sent to this machine already built"


def _hugepages() -> str | None:
    """Return why a run would get no 2 MiB pages; None: some are free, or it can reserve them."""
    pool = hugepages.pool()
    if pool is None:
        return "2 MiB pages: this kernel has no pool of them"
    if pool.free == 0 and not hugepages.may_raise():
        return "2 MiB pages: none is free, and this user may not add any here"
    return None
