"""What a run may leave on a machine: looked at before and after, by tests that end runs early."""

from __future__ import annotations

import ctypes
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import psutil
from pyroute2 import IPRoute

from nearmetal import lab
from nearmetal.lab import hugepages, owner
from nearmetal.lab.lock import BusyError

LONG_S = 300.0
GONE_S = 20.0  # what the kernel frees behind our back: namespaces, BPF programs
BPF_PROG_GET_NEXT_ID, NR_BPF = 11, 321  # linux/bpf.h; x86-64
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


def free_machine() -> None:
    """Wait until no other run has it."""
    deadline = time.monotonic() + LONG_S
    while _busy():
        assert time.monotonic() < deadline, "another run keeps the machine"
        time.sleep(0.1)


def _busy() -> bool:
    try:
        with lab.machine_lock():
            return False
    except BusyError:
        return True


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


def clean() -> str:
    """What the command undid, in words."""
    words = [sys.executable, "-m", "nearmetal", "clean"]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=LONG_S)
    return done.stdout


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def left(before: Machine) -> dict[str, frozenset[object]]:
    """What is left once the kernel has had time to free what nobody holds."""
    deadline = time.monotonic() + GONE_S
    while (found := look().more_than(before)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found
