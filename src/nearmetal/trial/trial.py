"""One trial: a fresh server, preloaded, read back, warmed up, measured, drained and stopped.

During the trial Python only waits on the generator's pipe. At the generator's `measuring` and
`draining` lines it reads how busy both sides are (busy.py); it reads everything else before or
after.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nearmetal.dut.contract import Dut
from nearmetal.dut.image import run_by
from nearmetal.errors import NearmetalError
from nearmetal.kv.client import Client
from nearmetal.machine.cores import cpus
from nearmetal.machine.links.netns import inside
from nearmetal.machine.memory.rss import mapping_rss_bytes, rss_bytes
from nearmetal.machine.processes.process import Child, ChildError, Event
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.vm import Vm
from nearmetal.samples import Counts, Guest, Resources, Sample, fault_of
from nearmetal.service import faults
from nearmetal.spec import services
from nearmetal.spec.experiment import Spec
from nearmetal.spec.programs import TENDER, program_of
from nearmetal.spec.rungs import Rung, Service
from nearmetal.spec.services import ServiceRow
from nearmetal.trial import busy
from nearmetal.trial.bed import Bed, Trial
from nearmetal.trial.busy import Look, Span, Turns
from nearmetal.trial.start import Server, ask_corpus, expect, facing, next_event

_LEAVE_S = 15.0  # testpmd closes its ports before it prints its last statistics
_KEYS_PER_S_MIN = 2_000  # a slower preload or read-back counts as stuck
_BEFORE_PER_S_MIN = 50  # and of a request that waits for the one before it


@dataclass(frozen=True)
class Measured:
    """Results of the measured time."""

    started_utc: str
    result: Event  # the generator's
    before: Look
    after: Look


@dataclass(frozen=True)
class Left:
    """Results that are known after the DUT has ended."""

    final: Event | None  # its last line
    turns: Turns | None
    resources: Resources
    guest: Guest | None


class WrongError(NearmetalError):
    """The server runs, but gives wrong answers."""


class OneMachine:
    """Checks and measures rows with generator and server on one machine."""

    def why_not(self, rung: Rung) -> str | None:
        """None: every row can be measured; dut/available.py says what a machine lacks."""
        del rung
        return None

    def check(self, trial: Trial, bed: Bed) -> None:
        """Run the quick corpus on a server of its own; WrongError names the case that failed.

        Programs of other projects are exempt: they may word an answer differently.
        """
        if trial.rung.place in ("reference", "image"):
            return
        wrong = ask_corpus(trial, bed)
        if wrong is not None:
            raise WrongError(f"quick corpus: {wrong}")

    def measure(self, trial: Trial, bed: Bed, second: Callable[[Event], None]) -> Sample:
        """Measure once. An error that it raises fails this row only."""
        with facing(trial, bed) as (server, generator):
            measured = _listen(trial, bed, server, generator, second)
            evicted = _evicted(bed, server) if server.command.asks_stats else None
            between = busy.span(measured.before, measured.after, measured.result["tsc_hz"])
            left = end(trial, bed, server, between)
        return sample_of(trial, bed, measured, left, evicted)


def now_utc() -> str:
    """The time as a sample has it: ISO 8601, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def sample_of(
    trial: Trial, bed: Bed, measured: Measured, left: Left, evicted: int | None
) -> Sample:
    """Make the sample of a trial."""
    counts = counts_of(measured.result)
    if left.final is not None:
        evicted = left.final.get("evicted")
    return Sample(
        rung=trial.rung.name,
        service=trial.service,
        round=trial.round,
        status="failed" if (reason := fault_of(counts, evicted)) else "ok",
        reason=reason,
        started_utc=measured.started_utc,
        counts=counts,
        latency=measured.result["latency"],
        evicted=evicted,
        **_cpu(measured, left.turns, counts),
        point=trial.point,
        accelerator=run_by(trial.rung.image, bed.accelerator) if trial.rung.machine else None,
        guest=left.guest,
        resources=left.resources,
        faults="" if left.final is None else faults.in_words(left.final),
    )


def failed_sample(trial: Trial, reason: str, started_utc: str) -> Sample:
    """Make the sample of a trial without counts: its line keeps the reason."""
    return Sample(
        rung=trial.rung.name,
        service=trial.service,
        round=trial.round,
        status="failed",
        reason=reason,
        started_utc=started_utc,
        point=trial.point,
    )


def counts_of(result: Event) -> Counts:
    """The counts of a `result` line; counts of other loops and wires stay None."""
    known = Counts.model_fields.keys() & result.keys()
    return Counts.model_validate({name: result[name] for name in known})


def _listen(
    trial: Trial, bed: Bed, server: Server, generator: Child, second: Callable[[Event], None]
) -> Measured:
    """Follow the generator's lines to its result."""
    spec, top = bed.spec, bed.topology
    dut, started_utc = server.child, now_utc()
    row = services.find(trial.service)
    if row.stores:
        expect("preloaded", next_event(generator, dut, phase_s(spec)))
        read_back(expect("verified", next_event(generator, dut, phase_s(spec))))
    if row.asks_before:
        expect("before", next_event(generator, dut, before_s(row)))
    limit_s = 30 + spec.warmup_s + spec.measured_s
    expect("measuring", next_event(generator, dut, limit_s))
    before = busy.look(top, server, generator)
    if trial.point.rate_per_s is not None:
        # Reading a line may take time from the generator's core: its schedule would slip.
        time.sleep(spec.measured_s)
    while (event := next_event(generator, dut, limit_s))["event"] == "second":
        second(event)
    after = busy.look(top, server, generator)
    expect("draining", event)
    result = expect("result", next_event(generator, dut, limit_s))
    return Measured(started_utc, result, before, after)


def phase_s(spec: Spec) -> float:
    """Seconds that a preload or a read-back may take."""
    return 30 + spec.workload.keys / _KEYS_PER_S_MIN


def before_s(row: ServiceRow) -> float:
    """Seconds that the requests that set up a user's service may take, one after the other."""
    nb = row.own.load.before if row.own and row.own.load else 0
    return 30 + nb / _BEFORE_PER_S_MIN


def read_back(event: Event) -> None:
    """Check a `verified` line; WrongError: a stored key is wrong or missing."""
    for what in ("wrong", "unexpected_miss"):
        if event[what]:
            raise WrongError(f"read back after the preload: {event[what]} keys {what}")


def end(trial: Trial, bed: Bed, server: Server, between: Span) -> Left:
    """End the DUT; between: the measured time, with its counters."""
    memory, guest = _memory(server, trial.service), None
    if trial.rung.place == "guest":
        guest = _guest(server.child)
    final, turns = _end(server, between)
    resources = Resources(
        **_images(trial, bed, server),
        **memory,
        start_ms=server.start_ms,
        vmm_start_ms=_vmm_start_ms(server.child),
        syscalls_per_million=_syscalls(final, turns),
    )
    return Left(final, turns, resources, guest)


def _end(server: Server, between: Span) -> tuple[Event | None, Turns | None]:
    """End the DUT: its last line and its turns.

    ChildError: a server of this project printed no last line.
    """
    dut, command = server.child, server.command
    if command.turns == "testpmd":
        assert isinstance(dut, Child)
        words = dut.end_by("quit", _LEAVE_S)
        return None, busy.of_testpmd(words, between)
    events = dut.stop()
    turns = busy.of_counters(*between.counters) if command.turns == "counters" else None
    if not command.says_ready:
        return None, turns
    final = next((event for event in events if event.get("event") == "final"), None)
    if final is None:
        raise ChildError(f"{dut.name} was stopped but printed no final counts")
    return final, turns


def _evicted(bed: Bed, server: Server) -> int | None:
    """Evictions of another project's server, by its `stats`; None: it prints none."""
    with inside(bed.topology.tg.netns):  # a socket stays in the namespace where it was made
        client = Client(bed.topology.sut_addr, server.port)
    with client:
        evictions = client.stats().get("evictions")
    return None if evictions is None else int(evictions)


def _cpu(measured: Measured, turns: Turns | None, counts: Counts) -> dict[str, Any]:
    """CPU time of both cores from the kernel, and cycles of turns counted by polling programs."""
    before, after, result = measured.before, measured.after, measured.result
    sut = cpus.spent(before.sut, after.sut)
    cycles = sut.busy_s * float(result["tsc_hz"]) / counts.answered if counts.answered else None
    return {
        "sut_core": sut,
        "tg_core": cpus.spent(before.tg, after.tg),
        "busy_cycles_per_reply": turns.cycles_per_frame if turns else cycles,
        "busy_share": turns.share if turns else cpus.busy_share(sut),
        "tg_cycles": result["cycles"],
        "sut_poller": busy.server_poller(before, after, turns),
        "tg_poller": busy.generator_poller(before, after, result["cycles"]),
        "tsc_hz": result["tsc_hz"],
    }


def _images(trial: Trial, bed: Bed, server: Server) -> dict[str, int]:
    """Sizes of the started programs or image."""
    programs, machine = bed.build.programs, server.command.machine
    if machine is not None:
        vmm = programs[qemu.PROGRAM].image_bytes
        return {"image_bytes": machine.image_bytes, "vmm_image_bytes": vmm}
    found = {"image_bytes": programs[program_of(trial.rung, trial.service)].image_bytes}
    if trial.rung.place == "ukp":
        found["tender_image_bytes"] = programs[TENDER].image_bytes
    return found


def _memory(server: Server, service: Service) -> dict[str, int | None]:
    """Resident memory now, at the end of the measured time."""
    if isinstance(server.child, Vm):
        return _machine_memory(server, server.child, service)
    found = {"rss_bytes": rss_bytes(server.pid)}
    if server.pid != server.child.pid:
        found["tender_rss_bytes"] = rss_bytes(server.child.pid)
    budget = server.store_budget_bytes
    found["store_budget_bytes"] = budget if services.find(service).stores else None
    if budget is not None:  # every server maps the memory; one without a store does not touch it
        found["store_rss_bytes"] = mapping_rss_bytes(server.pid, budget)
    elif not services.find(service).stores:
        found["store_rss_bytes"] = 0
    return found


def _machine_memory(server: Server, vm: Vm, service: Service) -> dict[str, int | None]:
    """Resident memory of a virtual machine: the guest's, and QEMU's own apart."""
    budget, start = server.store_budget_bytes, server.store_address
    store = None
    if budget is not None and start is not None:
        store = vm.resident_bytes(start, budget)
    return {
        "rss_bytes": vm.guest_rss_bytes(),
        "vmm_rss_bytes": vm.own_rss_bytes(),
        "store_budget_bytes": budget if services.find(service).stores else None,
        "store_rss_bytes": store,
    }


def _vmm_start_ms(dut: Dut) -> float | None:
    """Time from exec to an image's first line, exact to a few milliseconds as Python reads it."""
    if not isinstance(dut, Vm) or dut.boot_ns is None:
        return None
    return (dut.boot_ns - dut.started_ns) / 1e6


def _guest(dut: Dut) -> Guest:
    """Facts that a Linux guest printed after it had booted."""
    assert isinstance(dut, Vm)
    return Guest.model_validate({name: dut.boot.get(name) for name in Guest.model_fields})


def _syscalls(final: Event | None, turns: Turns | None) -> float | None:
    """System calls per million replies.

    Of the measured time, if the server printed counters at both ends; else of its whole run.
    """
    if turns is not None:
        return turns.syscalls_per_million
    if final is None or not final.get("replies"):
        return None
    return float(final["syscalls"]) * 1e6 / float(final["replies"])
