"""One trial: a fresh server, preloaded, read back, warmed up, measured, drained and stopped.

During the trial Python only waits on the generator's pipe. At its `measuring` and `draining` lines
both sides are looked at (busy.py); everything else is asked for before or after.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nearmetal.build.programs import TENDER, program_of
from nearmetal.dut.contract import Dut
from nearmetal.errors import NearmetalError
from nearmetal.kv.client import Client
from nearmetal.machine.cores import cpus
from nearmetal.machine.links.netns import inside
from nearmetal.machine.memory.rss import mapping_rss_bytes, rss_bytes
from nearmetal.machine.processes.process import Child, ChildError, Event
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.vm import Vm
from nearmetal.samples import Counts, Guest, Point, Resources, Sample, fault_of
from nearmetal.spec.experiment import Spec
from nearmetal.spec.rungs import Rung, Service
from nearmetal.trial import busy
from nearmetal.trial.busy import Look, Span, Turns
from nearmetal.trial.start import Bench, Server, ask_corpus, expect, facing, next_event

_LEAVE_S = 15.0  # testpmd closes its ports before it says its last words
_KEYS_PER_S_MIN = 2_000  # slower than this is taken for standing still


@dataclass(frozen=True)
class Measured:
    """What was said and seen of the measured time."""

    result: Event  # the generator's
    before: Look
    after: Look


@dataclass(frozen=True)
class Left:
    """What the DUT left behind."""

    final: Event | None  # its last line
    turns: Turns | None
    resources: Resources
    guest: Guest | None


class WrongError(NearmetalError):
    """The server runs, but does not answer as it must."""


def why_not(rung: Rung) -> str | None:
    """Every row can be measured on one machine; run.skipped knows what it lacks."""
    del rung
    return None


def check(bench: Bench, rung: Rung, service: Service) -> None:
    """The quick corpus, on a server of its own; WrongError names the case that failed.

    Programs that are not ours are exempt: they may word an answer differently.
    """
    if rung.place in ("reference", "image"):
        return
    wrong = ask_corpus(bench, rung, service)
    if wrong is not None:
        raise WrongError(f"quick corpus: {wrong}")


def trial(
    bench: Bench, rung: Rung, service: Service, number: int, second: Callable[[Event], None]
) -> Sample:
    """Measure once. What it raises fails the row, and nothing else."""
    started_utc = now_utc()
    with facing(bench, rung, service, number) as (server, generator):
        measured = _listen(bench, server, generator, service, second)
        evicted = _evicted(bench, server) if server.command.asks_stats else None
        between = busy.span(measured.before, measured.after, measured.result["tsc_hz"])
        left = leave(bench, rung, service, server, between)
    return sample_of(Told(bench, rung, service, number, started_utc), measured, left, evicted)


@dataclass(frozen=True)
class Told:
    """Which trial it was."""

    bench: Bench
    rung: Rung
    service: Service
    number: int  # of the round
    started_utc: str


def now_utc() -> str:
    """To the millisecond, as a sample has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def sample_of(told: Told, measured: Measured, left: Left, evicted: int | None) -> Sample:
    """From what was counted and seen."""
    bench, rung, counts = told.bench, told.rung, counts_of(measured.result)
    if left.final is not None:
        evicted = left.final.get("evicted")
    return Sample(
        rung=rung.name,
        service=told.service,
        round=told.number,
        status="failed" if (reason := fault_of(counts, evicted)) else "ok",
        reason=reason,
        started_utc=told.started_utc,
        counts=counts,
        latency=measured.result["latency"],
        evicted=evicted,
        **_cpu(measured, left.turns, counts),
        point=bench.point,
        accelerator=bench.accelerator if rung.machine else None,
        guest=left.guest,
        resources=left.resources,
    )


def failed_sample(rung: Rung, service: Service, number: int, reason: str, point: Point) -> Sample:
    """A trial that gave no counts keeps its line, with the reason."""
    return Sample(
        rung=rung.name,
        service=service,
        round=number,
        status="failed",
        reason=reason,
        started_utc=now_utc(),
        point=point,
    )


def counts_of(result: Event) -> Counts:
    """The counts of a `result` line; those of other loops and wires stay unknown."""
    known = Counts.model_fields.keys() & result.keys()
    return Counts.model_validate({name: result[name] for name in known})


def _listen(
    bench: Bench,
    server: Server,
    generator: Child,
    service: Service,
    second: Callable[[Event], None],
) -> Measured:
    """Follow the generator's lines to its result."""
    spec, top = bench.spec, bench.topology
    dut = server.child
    if service == "kv":
        expect("preloaded", next_event(generator, dut, phase_s(spec)))
        read_back(expect("verified", next_event(generator, dut, phase_s(spec))))
    limit_s = 30 + spec.warmup_s + spec.measured_s
    expect("measuring", next_event(generator, dut, limit_s))
    before = busy.look(top, server, generator)
    if bench.point.rate_per_s is not None:
        # Where there is no core to spare, reading a line takes the generator's: its schedule slips.
        time.sleep(spec.measured_s)
    while (event := next_event(generator, dut, limit_s))["event"] == "second":
        second(event)
    after = busy.look(top, server, generator)
    expect("draining", event)
    return Measured(expect("result", next_event(generator, dut, limit_s)), before, after)


def phase_s(spec: Spec) -> float:
    """How long a preload or a read-back may take."""
    return 30 + spec.workload.keys / _KEYS_PER_S_MIN


def read_back(event: Event) -> None:
    """Of `verified`: everything that was stored is there."""
    for what in ("wrong", "unexpected_miss"):
        if event[what]:
            raise WrongError(f"read back after the preload: {event[what]} keys {what}")


def leave(bench: Bench, rung: Rung, service: Service, server: Server, between: Span) -> Left:
    """End the DUT; between: the two looks at it."""
    memory, guest = _memory(server, service), None
    if rung.place == "guest":
        guest = _guest(server.child)
    final, turns = _end(server, between)
    resources = Resources(
        **_images(bench, rung, service, server),
        **memory,
        start_ms=server.start_ms,
        vmm_start_ms=_vmm_start_ms(server.child),
        syscalls_per_million=_syscalls(final, turns),
    )
    return Left(final, turns, resources, guest)


def _end(server: Server, between: Span) -> tuple[Event | None, Turns | None]:
    """The DUT's last words; a server of ours that keeps them to itself has failed."""
    dut, command = server.child, server.command
    if command.turns == "testpmd":
        assert isinstance(dut, Child)
        words = dut.leave("quit", _LEAVE_S)
        return None, busy.of_testpmd(words, between)
    events = dut.stop()
    turns = busy.of_counters(*between.counters) if command.turns == "counters" else None
    if not command.says_ready:
        return None, turns
    final = next((event for event in events if event.get("event") == "final"), None)
    if final is None:
        raise ChildError(f"{dut.name} was stopped but printed no final counts")
    return final, turns


def _evicted(bench: Bench, server: Server) -> int | None:
    """Ask a foreign server for its evictions."""
    with inside(bench.topology.tg.netns):  # where the socket is made it stays
        client = Client(bench.topology.sut_addr, server.port)
    with client:
        evictions = client.stats().get("evictions")
    return None if evictions is None else int(evictions)


def _cpu(measured: Measured, turns: Turns | None, counts: Counts) -> dict[str, Any]:
    """What the cores did: as the kernel saw it, and as pollers count their turns."""
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


def _images(bench: Bench, rung: Rung, service: Service, server: Server) -> dict[str, int]:
    """Sizes of what was started."""
    programs, machine = bench.build.programs, server.command.machine
    if machine is not None:
        vmm = programs[qemu.PROGRAM].image_bytes
        return {"image_bytes": machine.image_bytes, "vmm_image_bytes": vmm}
    found = {"image_bytes": programs[program_of(rung, service)].image_bytes}
    if rung.place == "ukp":
        found["tender_image_bytes"] = programs[TENDER].image_bytes
    return found


def _memory(server: Server, service: Service) -> dict[str, int | None]:
    """What is resident now, at the end of the measured time."""
    if isinstance(server.child, Vm):
        return _machine_memory(server, server.child, service)
    found = {"rss_bytes": rss_bytes(server.pid)}
    if server.pid != server.child.pid:
        found["tender_rss_bytes"] = rss_bytes(server.child.pid)
    budget = server.store_budget_bytes
    found["store_budget_bytes"] = budget if service == "kv" else None
    if budget is not None:  # echo has the memory, too, and does without
        found["store_rss_bytes"] = mapping_rss_bytes(server.pid, budget)
    elif service == "echo":
        found["store_rss_bytes"] = 0
    return found


def _machine_memory(server: Server, vm: Vm, service: Service) -> dict[str, int | None]:
    """The guest's, in its machine's memory; QEMU's own stands apart."""
    budget, start = server.store_budget_bytes, server.store_address
    store = None
    if budget is not None and start is not None:
        store = vm.resident_bytes(start, budget)
    return {
        "rss_bytes": vm.guest_rss_bytes(),
        "vmm_rss_bytes": vm.own_rss_bytes(),
        "store_budget_bytes": budget if service == "kv" else None,
        "store_rss_bytes": store,
    }


def _vmm_start_ms(dut: Dut) -> float | None:
    """From exec to an image's first line; Python reads it, so it is good to a few milliseconds."""
    if not isinstance(dut, Vm) or dut.boot_ns is None:
        return None
    return (dut.boot_ns - dut.started_ns) / 1e6


def _guest(dut: Dut) -> Guest:
    """What it said when it had booted."""
    assert isinstance(dut, Vm)
    return Guest.model_validate({name: dut.boot.get(name) for name in Guest.model_fields})


def _syscalls(final: Event | None, turns: Turns | None) -> float | None:
    """Of the measured time, where the server told its counts at both ends; else of its life."""
    if turns is not None:
        return turns.syscalls_per_million
    if final is None or not final.get("replies"):
        return None
    return float(final["syscalls"]) * 1e6 / float(final["replies"])
