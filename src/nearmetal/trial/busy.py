"""How busy both sides of a trial were, read at the two ends of its measured time.

A polling program keeps its core at 100 %, so the kernel's CPU times say little about it. Our
servers count the TSC cycles of turns that found something and of turns that found nothing, and
print both on request (dut/contract.py). testpmd counts only the cycles of turns that found
something; the rest of its time counts as empty turns. Context switches show whether another thread
used the core.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from nearmetal.machine.cores import cpus
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.process import Child, ChildError, Event
from nearmetal.samples import CoreTime, Poller
from nearmetal.topology.standing import Topology
from nearmetal.trial.start import Server

_TESTPMD = re.compile(r"cycles=(\d+) / total .*packets=(\d+)")


@dataclass(frozen=True)
class Look:
    """Times and counters read at one end of the measured time."""

    at_ns: int
    sut: CoreTime
    tg: CoreTime
    sut_switches: tuple[int, int]  # voluntary, involuntary
    tg_switches: tuple[int, int]
    counters: Event | None = None  # None: the server prints none


@dataclass(frozen=True)
class Span:
    """The time between two looks at a server."""

    elapsed_ns: int
    tsc_hz: int
    counters: tuple[Event, ...] = ()  # printed by the server at both ends


@dataclass(frozen=True)
class Turns:
    """Cycles and counts of a server's turns between two looks."""

    busy_cycles: int
    empty_cycles: int
    frames: int  # received
    replies: int = 0
    syscalls: int | None = None  # None: it does not count them

    @property
    def share(self) -> float | None:
        whole = self.busy_cycles + self.empty_cycles
        return self.busy_cycles / whole if whole else None

    @property
    def cycles_per_frame(self) -> float | None:
        return self.busy_cycles / self.frames if self.frames else None

    @property
    def syscalls_per_million(self) -> float | None:
        if self.syscalls is None or not self.replies:
            return None
        return self.syscalls * 1e6 / self.replies


def look(topology: Topology, server: Server, generator: Child) -> Look:
    """Read times and switches now, and request the server's counters.

    testpmd's statistics are parsed after it has ended (of_testpmd).
    """
    sut, tg = cpus.time_of(topology.sut_cpu), cpus.time_of(topology.tg_cpu)
    switched = switches(server.pid), switches(generator.pid)
    at_ns, counters = time.monotonic_ns(), None
    if server.command.turns == "counters":
        counters = server.child.counters()
    elif server.command.turns == "testpmd":
        assert isinstance(server.child, Child)
        server.child.say("show fwd stats all")
    return Look(at_ns, sut, tg, *switched, counters)


def span(before: Look, after: Look, tsc_hz: int) -> Span:
    """Return the span between two looks."""
    told = tuple(each.counters for each in (before, after) if each.counters is not None)
    return Span(after.at_ns - before.at_ns, tsc_hz, told)


def switches(pid: int, proc: Path = owner.PROC) -> tuple[int, int]:
    """Context switches of a process so far, over all its threads (proc(5), status).

    Returns (voluntary, involuntary).
    """
    voluntary = involuntary = 0
    for file in (proc / str(pid) / "task").glob("*/status"):
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:  # the thread has ended
            continue
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name == "voluntary_ctxt_switches":
                voluntary += int(value)
            elif name == "nonvoluntary_ctxt_switches":
                involuntary += int(value)
    return voluntary, involuntary


def of_counters(before: Event, after: Event) -> Turns:
    """Compute the turns from the counters at both ends."""

    def between(name: str) -> int:
        return int(after.get(name, 0)) - int(before.get(name, 0))

    return Turns(
        busy_cycles=between("busy_cycles"),
        empty_cycles=between("empty_cycles"),
        frames=between("received"),
        replies=between("replies"),
        syscalls=between("syscalls") if "syscalls" in after else None,
    )


def of_testpmd(words: str, between: Span) -> Turns:
    """Compute the turns from testpmd's output: its first two statistics; a third comes at its end.

    ChildError: the output has fewer than two.
    """
    found = [(int(cycles), int(packets)) for cycles, packets in _TESTPMD.findall(words)]
    if len(found) < 2:
        raise ChildError("testpmd printed no cycles: its output has an unknown format")
    busy, frames = (last - first for first, last in zip(found[0], found[1], strict=True))
    return Turns(busy, max(0, between.elapsed_ns * between.tsc_hz // 10**9 - busy), frames)


def server_poller(before: Look, after: Look, turns: Turns | None) -> Poller:
    """The server's cycles and switches; turns None: it does not count them."""
    return Poller(
        busy_cycles=turns.busy_cycles if turns else None,
        empty_cycles=turns.empty_cycles if turns else None,
        **_switched(before.sut_switches, after.sut_switches),
    )


def generator_poller(before: Look, after: Look, cycles: dict[str, int]) -> Poller:
    """The generator's cycles, from its `result` line, and its switches."""
    return Poller(
        busy_cycles=sum(spent for task, spent in cycles.items() if task != "empty"),
        empty_cycles=cycles.get("empty"),
        **_switched(before.tg_switches, after.tg_switches),
    )


def _switched(before: tuple[int, int], after: tuple[int, int]) -> dict[str, int]:
    names = ("switches_voluntary", "switches_involuntary")
    return {name: after[at] - before[at] for at, name in enumerate(names)}
