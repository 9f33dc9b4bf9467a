"""kill -9 of bench at seeded moments: afterwards `clean`, or the next bench, leaves nothing of it.

A moment is a share of the time that a whole bench took, so that all stages are met: build,
topology, preload, trial, report. The machine is looked at before and after.
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import psutil
import pytest
from pyroute2 import IPRoute

from nearmetal import lab
from nearmetal.lab import owner
from nearmetal.lab.lock import BusyError

SEED = 2
MOMENTS, MOMENTS_LONG = 4, 20
LONG_S = 300.0
GONE_S = 20.0  # what the kernel frees behind our back: namespaces, BPF programs
RUNGS = "memcached,host-mmsg:kv,limit-veth"
BPF_PROG_GET_NEXT_ID, NR_BPF = 11, 321  # linux/bpf.h; x86-64
# Values that move by themselves.
MOVING = ("/random", "conntrack", "/dentry", "/stat_refresh", "flush")


@dataclass(frozen=True)
class Machine:
    """Everything that a run could leave behind."""

    links: frozenset[str]
    mounts: frozenset[str]
    namespaces: frozenset[str]
    bpf_programs: frozenset[int]
    values: frozenset[tuple[str, bytes]]
    state: frozenset[str]

    def more_than(self, other: Machine) -> dict[str, frozenset[object]]:
        """What is here and not there, by kind."""
        added = {
            each.name: getattr(self, each.name) - getattr(other, each.name) for each in fields(self)
        }
        return {name: what for name, what in added.items() if what}


def look() -> Machine:
    with IPRoute() as route:
        links = frozenset(link.get("ifname") for link in route.get_links())
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    # All of ours are namespaces; others may mount what they like meanwhile.
    mounts = [line for line in mounts if " - nsfs " in line]
    theirs = {line.split()[3] for line in mounts if _of_the_living(line)}
    state = owner.state_directory()
    return Machine(
        links=links,
        mounts=frozenset(line.split()[4] for line in mounts if not _of_the_living(line)),
        namespaces=frozenset(_namespaces()) - theirs,
        bpf_programs=frozenset(_bpf_programs()),
        values=frozenset(_values()),
        state=frozenset(
            str(path)
            for path in state.rglob("*")
            if path.is_file() and path.name != "lock" and not _of_the_living(str(path))
        ),
    )


def _of_the_living(text: str) -> bool:
    """Another run may be at it: what names a living process is not left over."""
    named = re.search(r"nm-(\d+)-|journal/(\d+):", text)
    return named is not None and psutil.pid_exists(int(named[1] or named[2]))


def _namespaces() -> Iterator[str]:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                yield str((process / "ns/net").readlink())
            except OSError:
                continue


def _bpf_programs() -> Iterator[int]:
    """Ids of all loaded programs; none where we may not ask."""
    libc = ctypes.CDLL(None)
    attributes = (ctypes.c_uint32 * 32)()
    while libc.syscall(NR_BPF, BPF_PROG_GET_NEXT_ID, attributes, ctypes.sizeof(attributes)) == 0:
        yield attributes[1]
        attributes[0] = attributes[1]


def _values() -> Iterator[tuple[str, bytes]]:
    for top in ("net", "vm"):
        for path in Path("/proc/sys", top).rglob("*"):
            if path.is_file() and not any(word in str(path) for word in MOVING):
                try:
                    yield str(path), path.read_bytes()
                except OSError:
                    continue


def bench(out: Path) -> subprocess.Popen[str]:
    """Start one, once nobody else has the machine."""
    deadline = time.monotonic() + LONG_S
    while _busy():
        assert time.monotonic() < deadline, "another run keeps the machine"
        time.sleep(0.1)
    command = [sys.executable, "-m", "nearmetal", "bench", "--spec", "smoke", "--rungs", RUNGS]
    return subprocess.Popen(
        [*command, "--out", str(out), "--yes"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _busy() -> bool:
    try:
        with lab.machine_lock():
            return False
    except BusyError:
        return True


def finish(child: subprocess.Popen[str]) -> None:
    said, _ = child.communicate(timeout=LONG_S)
    assert child.returncode == 0, said


@pytest.fixture(scope="module")
def whole_s(tmp_path_factory: pytest.TempPathFactory) -> float:
    """How long a bench takes that nobody kills; the first one builds, so the second counts."""
    finish(bench(tmp_path_factory.mktemp("built") / "run"))
    began = time.monotonic()
    finish(bench(tmp_path_factory.mktemp("whole") / "run"))
    return time.monotonic() - began


def kill(child: subprocess.Popen[str]) -> list[psutil.Process]:
    """Kill it; its descendants at that moment are returned."""
    child.send_signal(signal.SIGSTOP)  # so that no new one comes between looking and killing
    try:
        family = psutil.Process(child.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    child.kill()
    child.communicate(timeout=LONG_S)
    return family


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
            clean = [sys.executable, "-m", "nearmetal", "clean"]
            subprocess.run(clean, check=True, capture_output=True, timeout=LONG_S)
        where = f"killed after {moment_s:.2f} of {whole_s:.2f} s"
        assert not [each for each in family if _runs(each)], where
        assert not _left(before), f"{where}: {_left(before)}"


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _left(before: Machine) -> dict[str, frozenset[object]]:
    """What is left once the kernel has had time to free what nobody holds."""
    deadline = time.monotonic() + GONE_S
    while (left := look().more_than(before)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left
