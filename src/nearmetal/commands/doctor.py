"""doctor: show machine facts, what is missing, what a killed run left, and rows that cannot run.

Changes nothing on the machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from nearmetal.build import guest_kernel
from nearmetal.commands import last, rows
from nearmetal.dut.available import missing
from nearmetal.machine import facts as machine
from nearmetal.machine import journal, rights
from nearmetal.machine.memory import hugepages
from nearmetal.machine.vm import accelerator
from nearmetal.report.layout import Column, paragraph, table

_GIB = 1 << 30
_FACTS = (Column("what"), Column("how it is", wraps=16))


def in_words(width: int | None) -> Iterator[str]:
    """Yield lines: machine facts, what is missing, what was left behind, rows that cannot run."""
    yield "machine"
    yield from table(_FACTS, list(_facts(machine.facts())), width, head=False)
    for title, lines in (("missing", _missing(width)), ("left behind", _left(width))):
        yield ""
        yield title
        yield from lines
    listed = rows.listed()
    here = sum(row.runs_here for row in listed)
    yield ""
    yield f"rows: {here} of {len(listed)} run here (`list` names them)"
    yield from rows.not_here(listed, width)


def as_json() -> str:
    """Return the content of `in_words` as one JSON object."""
    listed = [asdict(row) for row in rows.listed()]
    found = {
        "machine": dict(_facts(machine.facts())),
        "missing": [{"what": what, "costs": cost} for what, cost in missing()],
        "left_behind": journal.behind(),
        "rows": listed,
    }
    return json.dumps(found)


def _missing(width: int | None) -> Iterator[str]:
    found = list(missing())
    for what, cost in found:
        yield from paragraph(what, width)
        yield from paragraph(f"costs: {cost}", width, indent=2)
    if not found:
        yield "nothing"


def _left(width: int | None) -> Iterator[str]:
    found = journal.behind()
    for line in found:
        yield from paragraph(line, width)
    yield from paragraph("nearmetal clean undoes it" if found else "nothing", width)


def _accelerator() -> str:
    """Describe the accelerator that the last probe since boot found; starts no probe."""
    found = accelerator.last_found()
    if found is None:
        return "not probed since this machine was started; `bench` probes it"
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
    yield "governor", known.governor or "unknown: this machine does not report it"
    yield "virtual machines", _accelerator()
    fetched = guest_kernel.package()
    yield "guests' kernel", fetched or "not fetched; `bench` fetches it for rows guest-*"
    yield "rights", rights.in_words()
    found = last.run()
    yield "last run", f"{found / 'report.html'}" if found else "none, or its folder is gone"
