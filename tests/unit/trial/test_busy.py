"""Busy and empty cycles of servers and testpmd, and the kernel's count of context switches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nearmetal.machine.processes.process import ChildError
from nearmetal.samples import CoreTime
from nearmetal.trial import busy as pollers
from nearmetal.trial.busy import Look, Span, Turns

STATISTICS = """
  ---------------------- Forward statistics for port 0  ----------------------
  RX-packets: {packets:<14} RX-dropped: 0             RX-total: {packets}
  ----------------------------------------------------------------------------

  CPU cycles/packet=159.28 (total cycles={cycles} / total 5tswap packets={packets}) at 2600 MHz Clock
"""  # noqa: E501  (testpmd's format)


def counters(busy: int, empty: int, received: int) -> dict[str, object]:
    return {
        "event": "counters", "busy_cycles": busy, "empty_cycles": empty, "received": received,
    }  # fmt: skip


def test_turns_are_what_lies_between_two_lines() -> None:
    turns = pollers.of_counters(counters(1_000, 500, 10), counters(4_000, 1_500, 40))
    assert turns == Turns(busy_cycles=3_000, empty_cycles=1_000, frames=30)
    assert (turns.share, turns.cycles_per_frame) == (0.75, 100)
    assert (Turns(0, 0, 0).share, Turns(0, 0, 0).cycles_per_frame) == (None, None)


def test_system_calls_are_those_of_the_measured_time() -> None:
    first = counters(1, 1, 10) | {"syscalls": 400, "replies": 1_000}
    last = counters(2, 2, 20) | {"syscalls": 401, "replies": 2_001_000}
    assert pollers.of_counters(first, last).syscalls_per_million == 0.5
    assert pollers.of_counters(counters(1, 1, 1), counters(2, 2, 2)).syscalls_per_million is None


def test_a_span_is_what_both_looks_saw() -> None:
    core = CoreTime(cpu=0, user_s=0, system_s=0, softirq_s=0, irq_s=0, steal_s=0, idle_s=0)
    before, after = (Look(at, core, core, (0, 0), (0, 0)) for at in (5, 105))
    assert pollers.span(before, after, 7) == Span(100, 7)
    told = (counters(1, 1, 1), counters(2, 2, 2))
    before, after = replace(before, counters=told[0]), replace(after, counters=told[1])
    assert pollers.span(before, after, 7) == Span(100, 7, told)


def test_testpmd_counts_busy_turns_and_the_clock_the_others() -> None:
    words = "".join(
        STATISTICS.format(cycles=cycles, packets=packets)
        for cycles, packets in ((1_000, 10), (2_001_000, 20_010), (9_999_999, 99_999))
    )
    turns = pollers.of_testpmd(words, Span(1_000_000, 2_600_000_000))
    assert turns == Turns(busy_cycles=2_000_000, empty_cycles=600_000, frames=20_000)
    assert turns.cycles_per_frame == 100


def test_testpmd_of_other_words_is_told() -> None:
    with pytest.raises(ChildError, match="its output has an unknown format"):
        pollers.of_testpmd("testpmd> ", Span(1, 1))


def test_switches_are_summed_over_the_threads(tmp_path: Path) -> None:
    for thread, (voluntary, involuntary) in {"7": (3, 40), "8": (100, 2)}.items():
        folder = tmp_path / "7" / "task" / thread
        folder.mkdir(parents=True)
        (folder / "status").write_text(
            f"Name:\tnm\nvoluntary_ctxt_switches:\t{voluntary}\n"
            f"nonvoluntary_ctxt_switches:\t{involuntary}\n"
        )
    assert pollers.switches(7, tmp_path) == (103, 42)
    assert pollers.switches(9, tmp_path) == (0, 0)


def test_both_sides_pollers() -> None:
    core = CoreTime(cpu=0, user_s=0, system_s=0, softirq_s=0, irq_s=0, steal_s=0, idle_s=0)
    before, after = (Look(at, core, core, (at, 2 * at), (3 * at, 4 * at)) for at in (1, 11))
    server = pollers.server_poller(before, after, Turns(5, 6, 7))
    assert server.model_dump() == {
        "busy_cycles": 5, "empty_cycles": 6, "switches_voluntary": 10, "switches_involuntary": 20,
    }  # fmt: skip
    assert pollers.server_poller(before, after, None).busy_cycles is None
    cycles = {"receive": 10, "empty": 1, "check": 20, "send": 30}
    generator = pollers.generator_poller(before, after, cycles)
    assert (generator.busy_cycles, generator.empty_cycles) == (60, 1)
    assert (generator.switches_voluntary, generator.switches_involuntary) == (30, 40)
