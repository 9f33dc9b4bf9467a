"""What this machine is, and which rows it cannot give. Looks only; changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator

from rich.console import Group
from rich.table import Table

from nearmetal.build import guest_kernel
from nearmetal.dut.available import missing, why_not
from nearmetal.machine import facts as machine
from nearmetal.machine.memory import hugepages
from nearmetal.machine.vm import accelerator
from nearmetal.spec.rungs import PLACES, RUNGS

_GIB = 1 << 30


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


def _accelerator() -> str:
    """What the last run's probe found on this boot of the machine; looking starts nothing."""
    found = accelerator.last_found()
    if found is None:
        return "not probed yet since this machine was started: `bench` does so"
    rates = sorted(found.items(), key=lambda each: -each[1])
    told = ", ".join(f"{name} {rate / 1e6:,.1f} M loops/s" for name, rate in rates)
    return f"{rates[0][0]} ({told})"


def _facts(known: machine.MachineFacts) -> Iterator[tuple[str, str]]:
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
