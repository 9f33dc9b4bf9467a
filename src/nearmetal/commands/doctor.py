"""What this machine is, and which rows it cannot give. Looks only; changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from rich.console import Group
from rich.table import Table

from nearmetal.build import guest_kernel
from nearmetal.build import programs as build
from nearmetal.build.groups import rows_of
from nearmetal.machine import facts as machine
from nearmetal.machine.memory import hugepages
from nearmetal.machine.vm import accelerator, qemu
from nearmetal.spec.rungs import PLACES, RUNGS, Rung
from nearmetal.trial.rounds import NO_NIC, tap_why_not

_GIB = 1 << 30


def why_not(rung: Rung) -> str | None:
    """Why a rung cannot run here; None: it can."""
    if rung.absent is not None:
        return rung.absent
    if rung.name == "limit-veth" and os.geteuid() != 0:
        return "needs root: network namespaces and BPF"
    if rung.wire == "nic":
        return NO_NIC
    if (reason := tap_why_not(rung.wire)) is not None:
        return reason
    if rung.wire == "pvp" and os.geteuid() != 0:
        return "needs root: network namespaces and raw frames"
    programs = [build.program_of(rung, service) for service in rung.services]
    for program in [*programs, *build.programs_beside(rung)]:
        reason = build.why_not(program)
        if reason is not None:
            return reason
    return None


def rung_table() -> Table:
    """Every rung, and whether it can run here."""
    table = Table(box=None, pad_edge=False)
    for column in ("rung", "place", "datapath", "services", "runs here"):
        table.add_column(column, no_wrap=column != "runs here")
    for rung in RUNGS:
        reason = why_not(rung)
        here = "yes" if reason is None else f"no: {reason}"
        services = ", ".join(rung.services)
        place = f"{rung.place} ({PLACES[rung.place]})" if rung.place in PLACES else rung.place
        table.add_row(rung.name, place, rung.datapath or "-", services, here)
    return table


def examine() -> Group:
    """Machine facts, what is missing, and the rungs."""
    facts = Table(box=None, pad_edge=False, show_header=False)
    for name, value in _facts(machine.facts()):
        facts.add_row(name, value)
    lacks = Table(box=None, pad_edge=False, show_header=False)
    for what, cost in missing():
        lacks.add_row(what, cost)
    parts: list[str | Table] = ["[bold]machine[/]", facts, ""]
    parts += ["[bold]missing[/]", lacks if lacks.row_count else "nothing", ""]
    return Group(*parts, "[bold]rungs[/]", rung_table())


def missing() -> Iterator[tuple[str, str]]:
    """What is not here, and what that costs."""
    if os.geteuid() != 0:
        yield "root", "the traffic goes over lo, with the default placement; limit-veth is skipped"
    if len(os.sched_getaffinity(0)) < 2:
        yield "a second core", "server and generator share one: figures mean little"
    if reason := build.why_not("nm-dpdk-kv"):
        yield reason, f"{rows_of('dpdk')}, and the generator's DPDK edition"
    if lacking := qemu.why_not():
        rows = f"{rows_of('vm')}, and images of a spec's own"
        yield lacking, f"rows in virtual machines: {rows}"
    elif reason := accelerator.kvm_why_not():
        yield (
            reason,
            "virtual machines are emulated (TCG), far slower than KVM on a machine of its own",
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
    if reason := build.fuzz_why_not():
        yield reason, "the fuzz targets of `test`"


def missing_to_ask() -> Iterator[tuple[str, str]]:
    """The same of a machine that only asks: most of what a server wants costs it nothing."""
    if len(os.sched_getaffinity(0)) < 2:
        yield "a second core", "the generator shares its own with everything else"
    if reason := build.why_not("nm-load"):
        yield reason, "the generator, where it does not come along built"


def _hugepages() -> str | None:
    """Why a run would have none; None: it has, or can make them."""
    pool = hugepages.pool()
    if pool is None:
        return "2 MiB pages: this kernel has no pool of them"
    if os.geteuid() != 0 and pool.free == 0:
        return "2 MiB pages: none is free, and only root can make more"
    return None


def _accelerator() -> str:
    """What the last run's probe found on this boot of the machine; looking starts nothing."""
    found = accelerator.last_found()
    if found is None:
        return "not probed yet since this machine was started: `bench` does so"
    rates = sorted(found.items(), key=lambda each: -each[1])
    told = ", ".join(f"{name} {rate / 1e6:,.1f} M loops/s" for name, rate in rates)
    return f"{rates[0][0]} ({told})"


def _facts(known: machine.Machine) -> Iterator[tuple[str, str]]:
    yield "CPU", known.cpu or "unknown"
    yield "cores", f"{known.cores} usable, {known.threads_per_core or '?'} threads each"
    yield "memory", f"{known.memory_bytes / _GIB:.1f} GiB"
    pool = hugepages.pool()
    yield "2 MiB pages", f"{pool.free} free of {pool.total}" if pool else "no pool in this kernel"
    yield "kernel", known.kernel
    yield "distribution", known.distribution or "unknown"
    guest = {True: "yes: figures vary from run to run", False: "no", None: "unknown"}
    yield "virtual machine", guest[known.hypervisor]
    yield "governor", known.governor or "not told by this machine"
    yield "virtual machines", _accelerator()
    fetched = guest_kernel.package()
    yield "guests' kernel", fetched or "not fetched yet: `bench` does so for rows guest-*"
    yield "rights", "root" if os.geteuid() == 0 else "an ordinary user"
