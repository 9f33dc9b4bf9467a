"""kill -9 of bench at seeded moments: afterwards `clean`, or the next bench, removes all traces.

A moment is a share of the time that a whole bench took, so that all stages are hit: build,
topology, preload, trial, report. The machine's state is compared before and after.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from pathlib import Path

import pytest
from left import kill, left, look

import tool
from nearmetal.build import programs
from nearmetal.machine.processes import owner

SEED = 2
MOMENTS, MOMENTS_LONG = 2, 20
RUNGS = "memcached,host-mmsg:kv,limit-veth,host-dpdk:kv,ukp-netdev:kv,ceiling"
POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

pytestmark = pytest.mark.timeout(tool.RUN_S)


def bench(out: Path, rungs: str = RUNGS) -> subprocess.Popen[str]:
    """Start a bench once no other run uses the machine."""
    tool.wait_for_machine()
    words = tool.of_bench("smoke", out, "--rungs", rungs)
    return tool.start(*words, joined=True, apart=True)


def finish(child: subprocess.Popen[str]) -> None:
    said, _ = child.communicate(timeout=tool.LONG_S)
    tool.skip_where_busy(said)
    assert child.returncode == 0, said


@pytest.fixture(scope="module")
def whole_s(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Return the time of an undisturbed bench, when all is built."""
    programs.build()
    began = time.monotonic()
    finish(bench(tmp_path_factory.mktemp("whole") / "run"))
    return time.monotonic() - began


def test_nothing_is_left(tmp_path: Path, whole_s: float, is_long: bool) -> None:
    moments = random.Random(SEED)
    before = look()
    for number in range(MOMENTS_LONG if is_long else MOMENTS):
        moment_s = moments.uniform(0, whole_s)
        child = bench(tmp_path / f"killed-{number}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(moment_s)
        family = kill(child)
        if number % 2:
            finish(bench(tmp_path / f"next-{number}"))
        else:
            tool.succeeds("clean")
        where = f"killed after {moment_s:.2f} of {whole_s:.2f} s"
        assert not [each for each in family if tool.runs(each)], where
        assert not (found := left(before)), f"{where}: {found}"


def test_killed_while_the_wire_of_memory_stands(tmp_path: Path) -> None:
    """The wire's socket exists and the pool is raised, so both have to be cleaned."""
    reason = programs.why_not("nm-dpdk-kv")
    if reason is not None:
        pytest.skip(reason)
    before = look()
    child = bench(tmp_path / "killed", "host-dpdk:kv")
    socket = owner.state_directory() / owner.label("vhost", child.pid) / "vhost"
    tool.wait_beside(child, socket.exists, str(socket))
    family = kill(child)
    assert socket.exists()
    raised = list((owner.state_directory() / "hugepages").glob(f"{child.pid}:*"))
    assert raised or not os.access(POOL, os.W_OK)
    tool.succeeds("clean")  # or another run's clean, if it was faster
    assert not any(claim.exists() for claim in raised)
    assert not [each for each in family if tool.runs(each)]
    assert not (found := left(before)), found
