"""Cores and their times, on made-up machines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from nearmetal.machine.cores import cpus

TICK_S = 0.01


def machine(root: Path, cores: dict[int, tuple[int, str]], isolated: str = "") -> Path:
    """A tree with these cores: number -> (package, thread siblings)."""
    system = root / "sys/devices/system/cpu"
    for cpu, (package, siblings) in cores.items():
        topology = system / f"cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{package}\n")
        (topology / "thread_siblings_list").write_text(f"{siblings}\n")
    (system / "isolated").write_text(f"{isolated}\n")
    return root


def plain(count: int) -> dict[int, tuple[int, str]]:
    return {cpu: (0, str(cpu)) for cpu in range(count)}


def choose(root: Path, *allowed: int) -> tuple[int, int, set[int], str]:
    cores = cpus.choose(frozenset(allowed), root)
    return cores.sut, cores.tg, set(cores.control), cores.note


def test_two_cores(tmp_path: Path) -> None:
    assert choose(machine(tmp_path, plain(2)), 0, 1) == (0, 1, {1}, "")


def test_one_core_says_so(tmp_path: Path) -> None:
    assert choose(machine(tmp_path, plain(2)), 1) == (
        1, 1, {1}, "shared core: server and generator use the same core",
    )  # fmt: skip


def test_core_0_is_left_to_interrupts(tmp_path: Path) -> None:
    assert choose(machine(tmp_path, plain(4)), 0, 1, 2, 3) == (1, 2, {0}, "")


def test_isolated_cores_come_first(tmp_path: Path) -> None:
    root = machine(tmp_path, plain(6), isolated="4-5")
    assert choose(root, *range(6)) == (4, 5, {0, 3}, "")


def test_threads_of_one_core_are_not_both_measured(tmp_path: Path) -> None:
    pairs = {0: (0, "0,2"), 1: (0, "1,3"), 2: (0, "0,2"), 3: (0, "1,3")}
    assert choose(machine(tmp_path, pairs), 0, 1, 2, 3) == (1, 2, {0, 3}, "")
    sut, tg, _, note = choose(tmp_path, 1, 3)
    assert (sut, tg, note) == (1, 3, "shared core: server and generator use threads of one core")


def test_same_package_before_another(tmp_path: Path) -> None:
    two = {0: (0, "0"), 1: (0, "1"), 2: (1, "2"), 3: (0, "3")}
    assert choose(machine(tmp_path, two), 0, 1, 2, 3)[:2] == (1, 3)


def test_files_missing(tmp_path: Path) -> None:
    assert choose(tmp_path, 0, 1)[:2] == (0, 1)


def stat(root: Path, *lines: str) -> Path:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/stat").write_text("\n".join(["cpu  9 9 9 9 9 9 9 9 9 9", *lines, "intr 1"]))
    return root


def test_times(tmp_path: Path) -> None:
    stat(tmp_path, "cpu0 1 1 1 1 1 1 1 1 0 0", "cpu10 100 10 20 300 4 5 60 7 0 0")
    time = cpus.time_of(10, tmp_path)
    assert time.cpu == 10
    expected = {
        "user_s": 110, "system_s": 20, "idle_s": 304, "irq_s": 5, "softirq_s": 60, "steal_s": 7,
    }  # fmt: skip
    for name, ticks in expected.items():
        assert getattr(time, name) == pytest.approx(ticks * TICK_S)


def test_spent_and_busy(tmp_path: Path) -> None:
    before = cpus.time_of(0, stat(tmp_path, "cpu0 0 0 0 100 0 0 0 0 0 0"))
    after = cpus.time_of(0, stat(tmp_path, "cpu0 10 0 20 170 0 10 30 60 0 0"))
    spent = cpus.spent(before, after)
    assert spent.busy_s == pytest.approx(70 * TICK_S)  # without the 60 ticks of steal
    assert cpus.busy_share(spent) == pytest.approx(0.5)


def test_idle_that_steps_back_is_nothing(tmp_path: Path) -> None:
    before = cpus.time_of(0, stat(tmp_path, "cpu0 0 0 0 100 0 0 0 0 0 0"))
    after = cpus.time_of(0, stat(tmp_path, "cpu0 5 0 0 99 0 0 0 0 0 0"))
    assert cpus.spent(before, after).idle_s == 0
    assert cpus.busy_share(cpus.spent(before, before)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", set()), ("0", {0}), ("0-2,5\n", {0, 1, 2, 5}), ("3,7-8", {3, 7, 8})],
)
def test_lists(text: str, expected: set[int]) -> None:
    assert cpus.parse_list(text) == expected


def test_a_thread_is_pinned_unless_it_has_ended() -> None:
    core = min(os.sched_getaffinity(0))
    with subprocess.Popen(["sleep", "1000"]) as child:
        cpus.pin(child.pid, {core})
        assert os.sched_getaffinity(child.pid) == {core}
        child.kill()
    cpus.pin(child.pid, {core})
