"""A trial over several machines; trial/trial.py is the same for one machine.

The server's machine starts the DUT; generators send requests over their data NICs, each with its
share of flows, keys, window and rate. All generators preload their keys before they start together,
at a time that each machine is given by its own clock. Their counts are added up.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from nearmetal.machine.links.frames import UDP_BYTES_MAX
from nearmetal.machine.processes.process import START_S, Event
from nearmetal.samples import CoreTime, Generator, Guest, Resources, Sample
from nearmetal.spec import services
from nearmetal.spec.rungs import Rung
from nearmetal.spec.services import ServiceRow
from nearmetal.testbed.remote_agent import Remote, Station
from nearmetal.testbed.remote_dut import REFERENCES, Order, is_frames
from nearmetal.testbed.spec import Seat
from nearmetal.trial.bed import Bed, Trial
from nearmetal.trial.busy import Look, Turns
from nearmetal.trial.generator import asker, of_trial
from nearmetal.trial.start import expect, next_event
from nearmetal.trial.trial import (
    Left,
    Measured,
    WrongError,
    before_s,
    now_utc,
    phase_s,
    read_back,
    sample_of,
)

_GO_NS = 300_000_000  # from the request to the start: enough to reach every machine
_SAID = "first_wrong"  # the first wrong answer; only of generators that had one
_LEAVE_S = 90.0
_CORPUS_S = 180.0  # the cases of a user's service are first answered in CPython


@dataclass(frozen=True)
class Place:
    """A machine of the experiment."""

    station: Station
    seat: Seat
    cpu: int  # core of its server or generator
    load_argv: tuple[str, ...] = ()  # beginning of a generator's command line
    own: tuple[ServiceRow, ...] = ()  # users' services, with their paths there

    def records(self, service: str) -> str | None:
        """Return the path there of what a generator asks a user's service; None: it is another."""
        found = (row.own.records for row in self.own if row.own and row.name == service)
        return next(found, None)


@dataclass(frozen=True)
class _Dut:
    """The server of a trial."""

    station: Station
    address: str
    port: int
    started_ns: int  # by its machine's clock
    asks_stats: bool
    watched: tuple[Station, ...]  # all machines, so that waiting for one notices a lost other one
    receive: str = ""  # where its receive processing is done; set after its first answer

    def failed(self) -> str | None:
        for station in self.watched:
            station.pump()
        return self.station.dut_ended

    def said(self) -> str:
        words: str = self.station.ask("said")
        return words


@dataclass(frozen=True)
class Trials:
    """Check and measure rows on these machines (rounds.Measurer)."""

    sut: Place
    tgs: tuple[Place, ...]  # all generators; a trial's point may use fewer

    def why_not(self, rung: Rung) -> str | None:
        if rung.place == "reference" and rung.name not in REFERENCES:
            return "a reference of the wire vhost-user, on one machine; the wire here is a NIC"
        return None

    def check(self, trial: Trial, bed: Bed) -> None:
        """Run the quick corpus from the first generator's machine. WrongError: a wrong answer.

        A user's service may count every request, so its server is believed that it is ready; the
        others are asked until they answer.
        """
        if trial.rung.place in ("reference", "image"):
            return
        most = UDP_BYTES_MAX if is_frames(trial.rung) else None
        is_own = services.find(trial.service).own is not None
        with (self._started if is_own else self._serving)(trial, bed) as dut:
            if is_own:
                self.sut.station.ask("stand", _LEAVE_S)
            asked = {"service": trial.service, "addr": dut.address, "port": dut.port, "most": most}
            wrong = self.tgs[0].station.ask("corpus", _CORPUS_S, **asked)
        if wrong is not None:
            raise WrongError(f"quick corpus: {wrong}")

    def measure(self, trial: Trial, bed: Bed, second: Callable[[Event], None]) -> Sample:
        """Measure one trial with the point's number of generators."""
        asking = replace(self, tgs=self.tgs[: trial.point.generators])
        return asking._measure(trial, bed, second)

    def _measure(self, trial: Trial, bed: Bed, second: Callable[[Event], None]) -> Sample:
        """Measure one trial with all of self.tgs."""
        started_utc = now_utc()
        with self._serving(trial, bed) as dut:
            clocks = [tg.station.clock() for tg in self.tgs]
            with self._generators(trial, bed, dut) as generators:
                late = self._hold(trial, bed, dut, generators, clocks)
                results, before, after = self._follow(trial, bed, dut, generators, second)
            evicted = self._evicted(dut)
            left = self._leave(after.at_ns - before.at_ns, results[0]["tsc_hz"])
        measured = Measured(started_utc, merged(results), before, after)
        errors = [error for _, error in clocks]
        told_by = tuple(map(_told_by, self.tgs, results, late, errors))
        more = {"generators": told_by, "receive": dut.receive}
        return sample_of(trial, bed, measured, left, evicted).model_copy(update=more)

    @contextmanager
    def _serving(self, trial: Trial, bed: Bed) -> Iterator[_Dut]:
        """Start a fresh server; yield once it has answered a first request."""
        sut, tg = self.sut.station, self.tgs[0]
        with self._started(trial, bed) as dut:
            asking = [*tg.load_argv, *_target(trial, dut)]
            asking += asker(bed.spec.workload, trial.service, tg.records(trial.service))
            with tg.station.start(asking, tg.cpu) as first:
                answered = expect("first_answer", next_event(first, dut, START_S))
            there, here = tg.station.clock()[0], sut.clock()[0]
            receive = sut.ask("ready", answered_ns=answered["monotonic_ns"] - there + here)
            yield replace(dut, receive=receive)

    @contextmanager
    def _started(self, trial: Trial, bed: Bed) -> Iterator[_Dut]:
        """Start a fresh server, and end it after the body."""
        sut = self.sut.station
        order = Order(
            spec=bed.spec.model_copy(update={"own": self.sut.own}),
            point=trial.point,
            rung=trial.rung,
            service=trial.service,
            topology=bed.topology,
            nic=self.sut.seat.nic,
            address=self.sut.seat.address,
            take=self.sut.seat.take or "af_packet",
        )
        sut.dut_ended = None
        try:
            found = sut.ask("serve", order=order.model_dump(mode="json", by_alias=True))
            dut = _Dut(sut, watched=(sut, *(each.station for each in self.tgs)), **found)
            for each in self.tgs:
                each.station.ask("forget", nic=each.seat.nic, addr=dut.address)
            yield dut
        finally:
            sut.ask("halt", _LEAVE_S)

    @contextmanager
    def _generators(self, trial: Trial, bed: Bed, dut: _Dut) -> Iterator[list[Remote]]:
        """Start all generators; yield once each has printed `ready`."""
        wire = bed.topology.wire
        with ExitStack() as stack:
            generators = []
            for at, tg in enumerate(self.tgs, 1):
                asked = of_trial(trial, bed.spec, wire, tg.records(trial.service))
                argv = [*tg.load_argv, *_target(trial, dut), *asked]
                argv += ["--share", f"{at}/{len(self.tgs)}"]
                generators.append(stack.enter_context(tg.station.start(argv, tg.cpu)))
            for generator in generators:
                expect("ready", next_event(generator, dut, START_S))
            yield generators

    def _hold(
        self,
        trial: Trial,
        bed: Bed,
        dut: _Dut,
        generators: Sequence[Remote],
        clocks: Sequence[tuple[int, int]],
    ) -> list[int]:
        """Wait for preload and read-back, then start all. Return how late each was, in ns."""
        row = services.find(trial.service)
        for number, generator in enumerate(generators):
            if row.stores:
                expect("preloaded", next_event(generator, dut, phase_s(bed.spec)))
                read_back(expect("verified", next_event(generator, dut, phase_s(bed.spec))))
            if row.asks_before and number == 0:  # only the first one asks these
                expect("before", next_event(generator, dut, before_s(row)))
            expect("holding", next_event(generator, dut, START_S))
        return self._go(generators, clocks)

    def _follow(
        self,
        trial: Trial,
        bed: Bed,
        dut: _Dut,
        generators: Sequence[Remote],
        second: Callable[[Event], None],
    ) -> tuple[list[Event], Look, Look]:
        """Follow the generators from start to results."""
        limit_s = 30 + bed.spec.warmup_s + bed.spec.measured_s
        for generator in generators:
            expect("measuring", next_event(generator, dut, limit_s))
        before = self._look(generators)
        if trial.point.rate_per_s is not None:
            # Reading lines uses a core, which may be the only one.
            time.sleep(bed.spec.measured_s)
        for seconds in _in_step(generators, lambda each: next_event(each, dut, limit_s)):
            second(merged(seconds))
        after = self._look(generators)
        results = [expect("result", next_event(each, dut, limit_s)) for each in generators]
        return results, before, after

    def _go(self, generators: Sequence[Remote], clocks: Sequence[tuple[int, int]]) -> list[int]:
        """Start all generators at the same time, given to each by its own clock.

        Return how late each was, in ns.
        """
        at_ns = time.monotonic_ns() + _GO_NS
        asked = [
            each.station.post("go", child=each.child, at_ns=at_ns + offset)
            for each, (offset, _) in zip(generators, clocks, strict=True)
        ]
        answers = zip(generators, asked, strict=True)
        return [max(0, each.station.answer(number)) for each, number in answers]

    def _look(self, generators: Sequence[Remote]) -> Look:
        """Read core times and switches of the server and the first generator's machine."""
        first = generators[0]
        there = first.station.post("watch", cpu=self.tgs[0].cpu, child=first.child)
        sut = self.sut.station.ask("look")
        tg = first.station.answer(there)
        return Look(
            sut["at_ns"],
            CoreTime.model_validate(sut["core"]),
            CoreTime.model_validate(tg["core"]),
            tuple(sut["switches"]),
            tuple(tg["switches"]),
        )

    def _evicted(self, dut: _Dut) -> int | None:
        if not dut.asks_stats:
            return None
        found: int | None = self.tgs[0].station.ask("evictions", addr=dut.address, port=dut.port)
        return found

    def _leave(self, elapsed_ns: int, tsc_hz: int) -> Left:
        found = self.sut.station.ask("leave", _LEAVE_S, elapsed_ns=elapsed_ns, tsc_hz=tsc_hz)
        guest, turns = found["guest"], found["turns"]
        return Left(
            found["final"],
            Turns(**turns) if turns else None,
            Resources.model_validate(found["resources"]),
            Guest.model_validate(guest) if guest else None,
        )


def _target(trial: Trial, dut: _Dut) -> list[str]:
    """Return a generator's arguments for the server and its service."""
    return ["--target", f"{dut.address}:{dut.port}", "--service", services.find(trial.service).load]


def merged(told: Sequence[Event]) -> dict[str, Any]:
    """Merge the generators' events of one kind.

    Counts and cycles are added, and histograms joined, since their buckets are the same. Of
    durations, delays and TSC rates the largest is kept, and of wrong answers the first one.
    """
    if len(told) == 1:
        return dict(told[0])
    sums: dict[str, Any] = {"event": told[0]["event"]}
    if said := [event[_SAID] for event in told if _SAID in event]:
        sums[_SAID] = said[0]
    for name, value in told[0].items():
        if name == _SAID:
            continue
        values = [event[name] for event in told]
        if name == "latency":
            buckets: Counter[int] = Counter()
            for each in values:
                for at_ns, count in each:
                    buckets[at_ns] += count
            sums[name] = [list(pair) for pair in sorted(buckets.items())]
        elif name in ("duration_ns", "slipped_ns", "tsc_hz"):
            sums[name] = max(values)
        elif isinstance(value, dict):
            sums[name] = {key: sum(each[key] for each in values) for key in value}
        elif isinstance(value, int) and not isinstance(value, bool):
            sums[name] = sum(values)
    return sums


def _in_step(
    generators: Sequence[Remote], following: Callable[[Remote], Event]
) -> Iterator[list[Event]]:
    """Yield the `second` events, one of each generator at a time, until all are draining."""
    measuring = list(generators)
    while measuring:
        lines = [(each, following(each)) for each in measuring]
        for each, line in lines:
            if line["event"] != "second":
                expect("draining", line)
                measuring.remove(each)
        if len(measuring) == len(lines):
            yield [line for _, line in lines]


def _told_by(tg: Place, result: Event, late_ns: int, error_ns: int) -> Generator:
    """Return one generator's part of the sample."""
    cycles: dict[str, int] = result["cycles"]
    whole = sum(cycles.values())
    return Generator(
        machine=tg.station.name,
        answered=result["answered"],
        sent=result["sent"],
        busy_share=1 - cycles.get("empty", 0) / whole if whole else None,
        slipped_ns=result.get("slipped_ns"),
        intended=result.get("intended"),
        not_sent=result.get("not_sent"),
        start_late_ns=late_ns,
        start_error_ns=error_ns,
    )
