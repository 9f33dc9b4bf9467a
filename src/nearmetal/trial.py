"""One trial: a fresh server, preloaded, read back, warmed up, measured, drained and stopped.

During the trial Python only waits on the generator's pipe. At its `measuring` and `draining` lines
the times of both cores are read; everything else is asked for before or after.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from nearmetal import corpus, load
from nearmetal.build import Build, program_of
from nearmetal.client import Client
from nearmetal.errors import NearmetalError
from nearmetal.lab import cpus
from nearmetal.lab.netns import inside
from nearmetal.lab.process import Child, ChildError, Event, SilentError, rss_bytes
from nearmetal.places import host, reference
from nearmetal.places.command import Command
from nearmetal.rungs import Rung, Service
from nearmetal.samples import CoreTime, Counts, Point, Resources, Sample
from nearmetal.spec import Spec, memory_bytes
from nearmetal.topology import Topology

_PORT = 11211  # on a wire of our own every port is free
_START_S = 60.0
_SLICE_S = 0.5  # how long a dead server may go unnoticed while the generator asks it
_KEYS_PER_S_MIN = 2_000  # slower than this is taken for standing still


@dataclass(frozen=True)
class Bench:
    """What a trial is made with."""

    spec: Spec  # at the trial's point
    build: Build
    topology: Topology
    point: Point


@dataclass(frozen=True)
class Server:
    """A running DUT."""

    command: Command
    child: Child
    port: int
    start_ms: float
    store_budget_bytes: int | None


@dataclass(frozen=True)
class Measured:
    """What the generator and the cores said about the measured time."""

    result: Event
    sut: CoreTime
    tg: CoreTime


class WrongError(NearmetalError):
    """The server runs, but does not answer as it must."""


def check(bench: Bench, rung: Rung, service: Service) -> None:
    """The quick corpus, on a server of its own; WrongError names the case that failed."""
    if rung.place == "reference":
        return
    with _server(bench, rung, service) as server, inside(bench.topology.tg.netns):
        wrong = corpus.quick_corpus(service, bench.topology.sut_addr, server.port)
    if wrong is not None:
        raise WrongError(f"quick corpus: {wrong}")


def trial(
    bench: Bench, rung: Rung, service: Service, number: int, second: Callable[[Event], None]
) -> Sample:
    """Measure once. What it raises fails the row, and nothing else."""
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    with _server(bench, rung, service) as server:
        with _generator(bench, server.port, service, number) as generator:
            measured = _listen(bench, server, generator, service, second)
        rss = rss_bytes(server.child.pid)
        evicted = _evicted(bench, server) if server.command.asks_stats else None
        final = _final(server)
    if final is not None:
        evicted = final["evicted"]
    program = bench.build.programs[program_of(rung.name, rung.datapath, service)]
    counts = counts_of(measured.result)
    return Sample(
        rung=rung.name,
        service=service,
        round=number,
        status="failed" if (reason := _reason(counts, evicted)) else "ok",
        reason=reason,
        started_utc=started,
        counts=counts,
        latency=measured.result["latency"],
        evicted=evicted,
        sut_core=measured.sut,
        tg_core=measured.tg,
        busy_cycles_per_reply=_busy_cycles(measured, counts),
        busy_share=cpus.busy_share(measured.sut),
        tg_cycles=measured.result["cycles"],
        point=bench.point,
        tsc_hz=measured.result["tsc_hz"],
        resources=Resources(
            image_bytes=program.image_bytes,
            rss_bytes=rss,
            store_budget_bytes=server.store_budget_bytes if service == "kv" else None,
            start_ms=server.start_ms,
            syscalls_per_million=_syscalls(final),
        ),
    )


def failed_sample(rung: Rung, service: Service, number: int, reason: str, point: Point) -> Sample:
    """A trial that gave no counts keeps its line, with the reason."""
    return Sample(
        rung=rung.name,
        service=service,
        round=number,
        status="failed",
        reason=reason,
        started_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        point=point,
    )


def counts_of(result: Event) -> Counts:
    """The counts of a `result` line; those of other loops and wires stay unknown."""
    known = Counts.model_fields.keys() & result.keys()
    return Counts.model_validate({name: result[name] for name in known})


@contextmanager
def _server(bench: Bench, rung: Rung, service: Service) -> Iterator[Server]:
    """Start the DUT and wait for its first right answer."""
    port = _PORT if bench.topology.sut_netns else _free_port(bench.topology.sut_addr)
    memory = memory_bytes(bench.spec, rung.name)
    if rung.place == "host":
        command = host.command(rung, service, bench.build, bench.topology, memory, port)
    else:
        command = reference.command(rung, bench.build, bench.topology, memory, port)
    asking = [*_load_argv(bench, port, service), "--first-answer"]
    # The asker is up before the server, so that the server's start is all that is waited for.
    with Child(asking, bench.topology.tg) as asker, Child(command.argv, bench.topology.sut) as dut:
        answered = _next(asker, dut, _START_S)
        asker.stop()
        budget = command.store_budget_bytes
        if command.says_ready:
            budget = dut.expect("ready", _START_S)["store_budget_bytes"]
        start_ms = (answered["monotonic_ns"] - dut.started_ns) / 1e6
        yield Server(command, dut, port, start_ms, budget)


def _generator(bench: Bench, port: int, service: Service, number: int) -> Child:
    spec = bench.spec
    argv = [
        *_load_argv(bench, port, service),
        *load.arguments(spec.workload, spec.window.of(bench.topology.wire)),
    ]
    argv += ["--warmup", f"{spec.warmup_s:g}", "--time", f"{spec.measured_s:g}"]
    if bench.point.rate_per_s is not None:
        arrivals = spec.sweep.arrivals if spec.sweep else "constant"
        argv += load.pace(bench.point.rate_per_s, arrivals)
    return Child([*argv, "--seed", str(spec.seed + number)], bench.topology.tg)


def _load_argv(bench: Bench, port: int, service: Service) -> list[str]:
    target = f"{bench.topology.sut_addr}:{port}"
    argv = bench.build.programs["nm-load"].argv()
    return [*argv, "--target", target, "--service", service]


def _listen(
    bench: Bench,
    server: Server,
    generator: Child,
    service: Service,
    second: Callable[[Event], None],
) -> Measured:
    """Follow the generator's lines to its result."""
    spec, top = bench.spec, bench.topology
    phase_s = 30 + spec.workload.keys / _KEYS_PER_S_MIN
    dut = server.child
    _expect("ready", _next(generator, dut, _START_S))
    if service == "kv":
        _expect("preloaded", _next(generator, dut, phase_s))
        _read_back(_expect("verified", _next(generator, dut, phase_s)))
    limit_s = 30 + spec.warmup_s + spec.measured_s
    _expect("measuring", _next(generator, dut, limit_s))
    before = cpus.time_of(top.sut_cpu), cpus.time_of(top.tg_cpu)
    while (event := _next(generator, dut, limit_s))["event"] == "second":
        second(event)
    after = cpus.time_of(top.sut_cpu), cpus.time_of(top.tg_cpu)
    _expect("draining", event)
    result = _expect("result", _next(generator, dut, limit_s))
    sut, tg = (cpus.spent(first, last) for first, last in zip(before, after, strict=True))
    return Measured(result, sut, tg)


def _next(speaker: Child, dut: Child, timeout_s: float) -> Event:
    """The next line of the generator; a server that has died is named instead of it."""
    deadline = time.monotonic() + timeout_s
    while True:
        left_s = deadline - time.monotonic()
        try:
            return speaker.event(min(left_s, _SLICE_S))
        except ChildError as error:
            if (reason := dut.failed()) is not None:
                raise ChildError(reason) from error
            if not isinstance(error, SilentError):
                raise
            if left_s <= _SLICE_S:
                raise ChildError(f"{speaker.name} said nothing for {timeout_s:.0f} s") from error


def _expect(name: str, event: Event) -> Event:
    if event["event"] != name:
        raise ChildError(f"the generator said {event['event']!r} where {name!r} was due")
    return event


def _read_back(event: Event) -> None:
    for what in ("wrong", "unexpected_miss"):
        if event[what]:
            raise WrongError(f"read back after the preload: {event[what]} keys {what}")


def _final(server: Server) -> Event | None:
    """The DUT's last words; a server of ours that keeps them to itself has failed."""
    events = server.child.stop()
    if not server.command.says_ready:
        return None
    final = next((event for event in events if event.get("event") == "final"), None)
    if final is None:
        raise ChildError(f"{server.child.name} was stopped but printed no final counts")
    return final


def _evicted(bench: Bench, server: Server) -> int | None:
    """Ask a foreign server for its evictions."""
    with inside(bench.topology.tg.netns):  # where the socket is made it stays
        client = Client(bench.topology.sut_addr, server.port)
    with client:
        evictions = client.stats().get("evictions")
    return None if evictions is None else int(evictions)


def _reason(counts: Counts, evicted: int | None) -> str:
    """Why the trial failed; "" when it did not."""
    if counts.wrong:
        return (
            f"{counts.wrong} wrong answers, of them {counts.stale} stale and"
            f" {counts.unexpected_miss} unexpected misses"
        )
    if evicted:
        return f"{evicted} items were evicted though the memory suffices"
    if counts.answered == 0:
        return "no right answer in the measured time"
    return ""


def _busy_cycles(measured: Measured, counts: Counts) -> float | None:
    if not counts.answered:
        return None
    return measured.sut.busy_s * float(measured.result["tsc_hz"]) / counts.answered


def _syscalls(final: Event | None) -> float | None:
    if final is None or not final["replies"]:
        return None
    return float(final["syscalls"]) * 1e6 / float(final["replies"])


def _free_port(addr: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((addr, 0))
        port: int = udp.getsockname()[1]
        return port
