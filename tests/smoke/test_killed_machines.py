"""Ctrl-C and kill -9 of a bench whose rows are virtual machines, while one boots, under load and
while the report is made: no trace is left, and the run's tuning is undone.

The moments are found by polling the run's folder and its processes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from left import kill, left, look

import tool
from nearmetal.build import programs
from nearmetal.machine.memory import hugepages
from nearmetal.spec.programs import program_of, programs_beside
from nearmetal.spec.rungs import find

SPEC = """
name = "machines"
window = 8
rounds = 1
warmup_s = 0.1
measured_s = {seconds}
rungs = ["{row}"]
[workload]
keys = 200
flows = 1
[machine]
hugepages_2mib = 2
"""
ROWS = ("uk-netdev:echo", "guest-sock:kv", "guest-sock-tap:kv")
MORE_ROWS = ("guest-dpdk:kv", "guest-mmsg:echo", "uk-lwip:kv")

pytestmark = [
    pytest.mark.skipif(
        not os.access(hugepages.pool_file(), os.W_OK),
        reason="needs root, and a kernel with 2 MiB pages",
    ),
    pytest.mark.timeout(tool.RUN_S),
]


def booting(out: Path, child: int) -> bool:
    """Whether QEMU runs, and its guest is not ready."""
    consoles = list((out / "consoles").glob("*.log"))
    return bool(consoles) and _is_there(child, "qemu-system") and not any(map(_is_ready, consoles))


def loaded(out: Path, child: int) -> bool:
    """Whether a generator loads the ready guest; the quick corpus before has no generator."""
    consoles = list((out / "consoles").glob("*.log"))
    return _is_there(child, "/nm-load") and any(map(_is_ready, consoles))


def reporting(out: Path, child: int) -> bool:
    """Whether the only sample is written."""
    del child
    samples = out / "samples.jsonl"
    return samples.exists() and samples.read_bytes().endswith(b"\n")


MOMENTS: dict[str, Callable[[Path, int], bool]] = {
    "boot": booting,
    "load": loaded,
    "report": reporting,
}


def cases() -> list[tuple[str, str, str]]:
    """Return each moment and signal, with alternating rows; --full has every row."""
    found = []
    for moment in MOMENTS:
        for signal_name in ("SIGINT", "SIGKILL"):
            found.append((moment, signal_name, ROWS[len(found) % len(ROWS)]))
    return found


def long_cases() -> list[tuple[str, str, str]]:
    every = [(m, s, r) for m in MOMENTS for s in ("SIGINT", "SIGKILL") for r in ROWS + MORE_ROWS]
    return [case for case in every if case not in cases()]


@pytest.mark.parametrize(("moment", "signal_name", "row"), cases() + long_cases())
def test_nothing_is_left_of_a_machine(
    moment: str, signal_name: str, row: str, tmp_path: Path, is_long: bool
) -> None:
    if (moment, signal_name, row) in long_cases() and not is_long:
        pytest.skip("only with --full")
    name, _, service = row.partition(":")
    rung = find(name)
    for program in [program_of(rung, service), *programs_beside(rung)]:
        if (reason := programs.why_not(program)) is not None:
            pytest.skip(reason)
    before = look()
    out = tmp_path / "run"
    child = bench(out, row, 0.2 if moment == "report" else 20.0)
    tool.wait_beside(child, lambda: MOMENTS[moment](out, child.pid), moment)
    if signal_name == "SIGKILL":
        family = kill(child)
        tool.succeeds("clean")
    else:
        family = interrupted(child, out)
    assert not [each for each in family if tool.runs(each)]
    assert not (found := left(before)), found
    if moment == "report":  # even if files were missing: the report can be made again
        tool.succeeds("report", out)
        (told,) = tool.rows(out).values()
        assert (told["status"], told["rounds"]) == ("ok", 1), told["reason"]


def bench(out: Path, row: str, seconds: float) -> subprocess.Popen[str]:
    spec = out.with_name("machines.toml")
    spec.write_text(SPEC.format(row=row, seconds=seconds))
    return tool.start(*tool.of_bench(spec, out), joined=True, apart=True)


def interrupted(child: subprocess.Popen[str], out: Path) -> list[psutil.Process]:
    """Interrupt the whole group as a terminal does; the partial results are reported."""
    family = tool.descendants(child.pid)
    os.killpg(child.pid, signal.SIGINT)
    said = child.communicate(timeout=tool.LONG_S)[0]
    assert "Traceback" not in said, said
    assert child.returncode in (130, 0), said
    if not (out / "samples.jsonl").exists():
        assert child.returncode == 130, said
        assert (out / "report.json").exists(), said
        report = json.loads((out / "report.json").read_text())
        assert report["partial"] is True and report["reason"] == "interrupted"
        assert f"partial: what was measured until then is in {out}" in said, said
    return family


def _is_there(child: int, name: str) -> bool:
    """Whether a descendant of the run has the name in its command line."""
    words = (tool.command_line(each) for each in tool.descendants(child))
    return any(name in each for each in words)


def _is_ready(console: Path) -> bool:
    return b'"event":"ready"' in console.read_bytes()
