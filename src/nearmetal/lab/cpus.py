"""Which core does what, and where its time went.

Readers take a root, so that tests can show them made-up machines.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nearmetal.samples import CoreTime

ROOT = Path("/")


@dataclass(frozen=True)
class Cores:
    sut: int  # the server and its receive processing
    tg: int  # the generator
    control: frozenset[int]  # Python: off the measured cores where there are others
    note: str  # what a reader of the result should know; "" when nothing


def choose(allowed: frozenset[int], root: Path = ROOT) -> Cores:
    """Isolated cores first, then two real cores of one package, core 0 (interrupts) last."""
    assert allowed
    isolated = _read_list(root / "sys/devices/system/cpu/isolated")
    ranked = sorted(allowed, key=lambda cpu: (cpu not in isolated, cpu == 0, cpu))
    if len(ranked) <= 2:
        ranked.sort()  # nothing to choose: keep the numbers easy to remember
    sut = ranked[0]
    others = [cpu for cpu in ranked[1:] if cpu not in _siblings(sut, root)]
    others.sort(key=lambda cpu: _package(cpu, root) != _package(sut, root))
    control = frozenset(allowed)
    if others:
        tg, note = others[0], ""
    elif len(ranked) > 1:
        tg, note = ranked[1], "server and generator share one physical core"
    else:
        tg, note = sut, "server and generator share the only core"
    return Cores(sut, tg, control - {sut, tg} or frozenset({tg}), note)


def allowed(root: Path = ROOT) -> frozenset[int]:
    """What we may run on; isolated cores are added where nothing else was taken from us."""
    mine = frozenset(os.sched_getaffinity(0))
    online = _read_list(root / "sys/devices/system/cpu/online")
    isolated = _read_list(root / "sys/devices/system/cpu/isolated")
    return mine | isolated if mine >= online - isolated else mine


def time_of(cpu: int, root: Path = ROOT) -> CoreTime:
    """Time of one core since boot: proc(5), /proc/stat."""
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    with (root / "proc/stat").open(encoding="ascii") as file:
        for line in file:
            name, *fields = line.split()
            if name == f"cpu{cpu}":
                user, nice, system, idle, iowait, irq, softirq, steal = (
                    int(field) * tick_s for field in fields[:8]
                )
                return CoreTime(
                    cpu=cpu,
                    user_s=user + nice,
                    system_s=system,
                    softirq_s=softirq,
                    irq_s=irq,
                    steal_s=steal,
                    idle_s=idle + iowait,
                )
    raise AssertionError(f"no cpu{cpu} in /proc/stat")


def spent(before: CoreTime, after: CoreTime) -> CoreTime:
    """What lies between two readings of one core."""
    assert before.cpu == after.cpu
    names = ("user_s", "system_s", "softirq_s", "irq_s", "steal_s", "idle_s")
    # Idle time may step back by a tick (proc(5)): it is not less than nothing.
    times = {name: max(0.0, getattr(after, name) - getattr(before, name)) for name in names}
    return CoreTime(cpu=after.cpu, **times)


def busy_share(time: CoreTime) -> float | None:
    """Part of the time that was ours in which the core was busy."""
    total = time.busy_s + time.idle_s
    return time.busy_s / total if total > 0 else None


@contextmanager
def ourselves_on(cpus: frozenset[int]) -> Iterator[None]:
    """Keep this process, each of its threads, off the measured cores."""
    before = os.sched_getaffinity(0)
    _pin_threads(cpus)
    try:
        yield
    finally:
        _pin_threads(before)


def parse_list(text: str) -> frozenset[int]:
    """The kernel's list format: "0-2,5"."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def _pin_threads(cpus: Iterable[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cpus)


def _read_list(file: Path) -> frozenset[int]:
    try:
        return parse_list(file.read_text(encoding="ascii"))
    except OSError:  # older kernels, containers: the file is not there
        return frozenset()


def _siblings(cpu: int, root: Path) -> frozenset[int]:
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    return _read_list(topology / "thread_siblings_list") | {cpu}


def _package(cpu: int, root: Path) -> str:
    try:
        file = root / f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""
