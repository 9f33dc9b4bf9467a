"""kill -9 of bench at seeded moments: afterwards `clean`, or the next bench, leaves nothing of it.

A moment is a share of the time that a whole bench took, so that all stages are met: build,
topology, preload, trial, report. The machine is looked at before and after.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
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

from nearmetal import build, lab
from nearmetal.lab import hugepages, owner
from nearmetal.lab.lock import BusyError

SEED = 2
MOMENTS, MOMENTS_LONG = 4, 20
LONG_S = 300.0
GONE_S = 20.0  # what the kernel frees behind our back: namespaces, BPF programs
RUNGS = "memcached,host-mmsg:kv,limit-veth,host-dpdk:kv,ukp-netdev:kv,ceiling"
BPF_PROG_GET_NEXT_ID, NR_BPF = 11, 321  # linux/bpf.h; x86-64
POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
# Values that move by themselves.
MOVING = ("/random", "conntrack", "/dentry", "/stat_refresh", "flush", "/nr_hugepages")


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
            if not path.is_dir() and path.name != "lock" and not _of_the_living(str(path))
        ),
    )


def _of_the_living(text: str) -> bool:
    """Another run may be at it: what names a living process is not left over."""
    named = re.search(r"(?:nm-|journal/|hugepages/)(\d+)[-:]", text)
    return named is not None and psutil.pid_exists(int(named[1]))


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
    yield "huge pages, without those that the living have asked for", b"%d" % _hugepages()


def _hugepages() -> int:
    pool = hugepages.pool()
    claims = (owner.state_directory() / "hugepages").glob("*:*")
    theirs = [int(path.read_text().split()[1]) for path in claims if _of_the_living(str(path))]
    return pool.total - sum(theirs) if pool else 0


def bench(out: Path, rungs: str = RUNGS) -> subprocess.Popen[str]:
    """Start one, once nobody else has the machine."""
    deadline = time.monotonic() + LONG_S
    while _busy():
        assert time.monotonic() < deadline, "another run keeps the machine"
        time.sleep(0.1)
    command = [sys.executable, "-m", "nearmetal", "bench", "--spec", "smoke", "--rungs", rungs]
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


def test_killed_while_the_wire_of_memory_stands(tmp_path: Path) -> None:
    """Its socket is there and the pool is raised, so both have to go."""
    reason = build.why_not("nm-dpdk-kv")
    if reason is not None:
        pytest.skip(reason)
    before = look()
    child = bench(tmp_path / "killed", "host-dpdk:kv")
    socket = owner.state_directory() / f"nm-{child.pid}-vhost" / "vhost"
    deadline = time.monotonic() + LONG_S
    while not socket.exists():
        assert child.poll() is None, child.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    family = kill(child)
    assert socket.exists()
    raised = list((owner.state_directory() / "hugepages").glob(f"{child.pid}:*"))
    assert raised or not os.access(POOL, os.W_OK)
    clean = [sys.executable, "-m", "nearmetal", "clean"]
    done = subprocess.run(clean, check=True, capture_output=True, text=True, timeout=LONG_S)
    assert ("pages" in done.stdout) == bool(raised)
    assert not [each for each in family if _runs(each)]
    assert not _left(before), _left(before)


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
