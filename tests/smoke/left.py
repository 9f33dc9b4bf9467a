"""Traces that a run may leave on a machine; tests that end runs early compare before and after."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import psutil
from pyroute2 import IPRoute

import tool
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes import owner

NR_BPF = 321  # x86-64; linux/bpf.h:
BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID, BPF_OBJ_GET_INFO_BY_FD, XDP = 11, 13, 15, 6
# Values that change by themselves.
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
        """Return what this has and `other` has not, by kind."""
        added = {
            each.name: getattr(self, each.name) - getattr(other, each.name) for each in fields(self)
        }
        return {name: what for name, what in added.items() if what}


def look() -> Machine:
    """Return the current state while no run is active: a run's settings are not left over."""
    with tool.machine():
        return _look()


def _look() -> Machine:
    """Return everything with our names, except what running processes have made."""
    with IPRoute() as route:
        names = [str(link.get("ifname")) for link in route.get_links()]
    state = owner.state_directory()
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [line.split()[4] for line in lines if " - nsfs " in line]
    return Machine(
        links=dead(name for name in names if name.startswith("nm-")),
        mounts=dead(mount for mount in mounts if mount.startswith(str(state))),
        namespaces=frozenset(_namespaces()),
        bpf_programs=frozenset(_xdp_programs()) - frozenset(_held_programs()),
        values=frozenset(_values()),
        state=dead(
            f"{folder}/{name}"
            for folder, _, names in os.walk(state)  # skips files that vanish
            for name in names
            if name != "lock"
        ),
    )


def dead(names: Iterable[str]) -> frozenset[str]:
    """Return the names that no running process has made."""
    return frozenset(name for name in names if not _of_the_living(name))


def _of_the_living(text: str) -> bool:
    """Whether a running process is named in the text: then another run may use it."""
    named = re.search(r"(?:journal/|hugepages/)(\d+):", text)
    if named is not None:
        return psutil.pid_exists(int(named[1]))
    return any(owner.label("", pid) in text for pid in psutil.pids())


def _namespaces() -> Iterator[str]:
    """Return the network namespaces of processes whose owner has ended."""
    for pid, maker in owner.children():
        if owner.fate(maker) is owner.Fate.DEAD:
            with contextlib.suppress(OSError):
                yield str(Path(f"/proc/{pid}/ns/net").readlink())


def _xdp_programs() -> Iterator[int]:
    """Return the ids of XDP programs, the only kind that we load; none if we may not list them."""
    attributes = (ctypes.c_uint32 * 32)()
    while _bpf(BPF_PROG_GET_NEXT_ID, attributes) == 0:
        found = attributes[1]
        if _bpf_kind(found) == XDP:
            yield found
        attributes = (ctypes.c_uint32 * 32)(found)


def _held_programs() -> Iterator[int]:
    """Return the ids of programs that a running process holds: proc(5), fdinfo of a program or a
    link. Processes of an ended run are found in another way."""
    for path in Path("/proc").glob("[0-9]*/fdinfo/*"):
        with contextlib.suppress(OSError):  # the process ends meanwhile
            for found in re.findall(r"^prog_id:\s+(\d+)$", path.read_text(), re.MULTILINE):
                yield int(found)


def _bpf_kind(program: int) -> int | None:
    """Return the program's type; None: the program is gone."""
    handle = _bpf(BPF_PROG_GET_FD_BY_ID, (ctypes.c_uint32 * 32)(program))
    if handle < 0:
        return None
    info = (ctypes.c_uint32 * 64)()
    asked = (ctypes.c_uint32 * 32)(handle, ctypes.sizeof(info))
    ctypes.memmove(ctypes.byref(asked, 8), ctypes.byref(ctypes.c_uint64(ctypes.addressof(info))), 8)
    told = _bpf(BPF_OBJ_GET_INFO_BY_FD, asked)
    os.close(handle)
    return info[0] if told == 0 else None


def _bpf(command: int, attributes: ctypes.Array[ctypes.c_uint32]) -> int:
    return int(ctypes.CDLL(None).syscall(NR_BPF, command, attributes, ctypes.sizeof(attributes)))


def _values() -> Iterator[tuple[str, bytes]]:
    for top in ("net", "vm"):
        for folder, _, names in os.walk(f"/proc/sys/{top}"):  # skips files that vanish
            for path in (Path(folder, name) for name in names):
                if not any(word in str(path) for word in MOVING):
                    with contextlib.suppress(OSError):
                        yield str(path), path.read_bytes()
    yield "huge pages, without the claims of running processes", b"%d" % _hugepages()


def _hugepages() -> int:
    pool = hugepages.pool()
    claims = (owner.state_directory() / "hugepages").glob("*:*")
    theirs = [_claimed(path) for path in claims if _of_the_living(str(path))]
    return pool.total - sum(theirs) if pool else 0


def _claimed(claim: Path) -> int:
    """Return the pages that a claim has got; 0 if it was given up meanwhile."""
    try:
        return int([word for word in claim.read_text().split() if word.isdecimal()][-1])
    except FileNotFoundError:
        return 0


def kill(child: subprocess.Popen[str]) -> list[psutil.Process]:
    """Kill the run; return its descendants at that moment."""
    child.send_signal(signal.SIGSTOP)  # so that it cannot start another process before it is killed
    family = tool.descendants(child.pid)
    child.kill()
    child.communicate(timeout=tool.LONG_S)
    return family


def left(before: Machine) -> dict[str, frozenset[object]]:
    """Return what a run left: what every check finds, until the kernel has had time to free what no
    process holds. What other programs make meanwhile does not stay."""
    with tool.machine():
        found = _look().more_than(before)
        deadline = time.monotonic() + tool.GONE_S
        while found and time.monotonic() < deadline:
            time.sleep(0.1)
            now = _look().more_than(before)
            found = {kind: now[kind] & what for kind, what in found.items() if kind in now}
            found = {kind: what for kind, what in found.items() if what}
        return found
