"""Cores of this machine, and how each core spent its time.

Functions that read files take a root folder, so that tests can pass a made-up machine.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nearmetal.machine.cores.placement import Cores, Cpu, Cpus, place
from nearmetal.samples import CoreTime

ROOT = Path("/")


def choose(allowed: frozenset[int], root: Path = ROOT) -> Cores:
    """Return the cores of a run, chosen from the `allowed` ones."""
    return place(machine(allowed, root))


def machine(allowed: frozenset[int], root: Path = ROOT) -> Cpus:
    """Return the cores that placement chooses from, as the kernel describes them."""
    nodes = _nodes(root)
    cpus = [
        Cpu(cpu, nodes.get(cpu, _package(cpu, root)), _siblings(cpu, root))
        for cpu in sorted(allowed)
    ]
    return Cpus(tuple(cpus), _read_list(root / "sys/devices/system/cpu/isolated"))


def allowed(root: Path = ROOT) -> frozenset[int]:
    """Return the cores that this process may use.

    Isolated cores are added if the affinity mask leaves out no other core.
    """
    mine = frozenset(os.sched_getaffinity(0))
    online = online_cpus(root)
    isolated = _read_list(root / "sys/devices/system/cpu/isolated")
    return mine | isolated if mine >= online - isolated else mine


def online_cpus(root: Path = ROOT) -> frozenset[int]:
    """Return every core that is online, also cores that this process may not use."""
    return _read_list(root / "sys/devices/system/cpu/online")


def time_of(cpu: int, root: Path = ROOT) -> CoreTime:
    """Return the time that one core spent in each state since boot (proc(5), /proc/stat)."""
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
    """Return the time between two readings of one core."""
    assert before.cpu == after.cpu
    names = ("user_s", "system_s", "softirq_s", "irq_s", "steal_s", "idle_s")
    # The idle counter may step back by a tick (proc(5)): count that as 0, not as negative.
    times = {name: max(0.0, getattr(after, name) - getattr(before, name)) for name in names}
    return CoreTime(cpu=after.cpu, **times)


def busy_share(time: CoreTime) -> float | None:
    """Return the busy share of the time that the hypervisor gave to the core; None: no time."""
    total = time.busy_s + time.idle_s
    return time.busy_s / total if total > 0 else None


@contextmanager
def ourselves_on(cpus: frozenset[int]) -> Iterator[None]:
    """Keep all threads of this process off the measured cores while the body runs."""
    before = os.sched_getaffinity(0)
    _pin_threads(cpus)
    try:
        yield
    finally:
        _pin_threads(before)


def parse_list(text: str) -> frozenset[int]:
    """Parse the kernel's list format, e.g. "0-2,5"."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus)


def format_list(cpus: Iterable[int]) -> str:
    """Write the kernel's list format, with ranges where possible."""
    spans: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if spans and spans[-1][1] == cpu - 1:
            spans[-1][1] = cpu
        else:
            spans.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def parse_mask(text: str) -> frozenset[int]:
    """Parse the kernel's mask format, e.g. "3" or "00000001,00000000"."""
    bits = int(text.strip().replace(",", "") or "0", 16)
    return frozenset(bit for bit in range(bits.bit_length()) if bits >> bit & 1)


def format_mask(cpus: Iterable[int]) -> str:
    """Write the kernel's mask format: 32-bit words, the highest word first."""
    bits = sum(1 << cpu for cpu in set(cpus))
    words = [f"{bits & 0xFFFFFFFF:08x}"]
    while bits := bits >> 32:
        words.append(f"{bits & 0xFFFFFFFF:08x}")
    return ",".join(reversed(words))


def pin(thread: int, cpus: Iterable[int]) -> None:
    """Pin a thread to these cores. A thread that has just ended is ignored: its user reports it."""
    with contextlib.suppress(ProcessLookupError):
        os.sched_setaffinity(thread, cpus)


def _pin_threads(cpus: Iterable[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        pin(int(thread.name), cpus)


def _read_list(file: Path) -> frozenset[int]:
    try:
        return parse_list(file.read_text(encoding="ascii"))
    except OSError:  # older kernels and containers do not have the file
        return frozenset()


def _siblings(cpu: int, root: Path) -> frozenset[int]:
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    return _read_list(topology / "thread_siblings_list") | {cpu}


def _package(cpu: int, root: Path) -> int:
    try:
        file = root / f"sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _nodes(root: Path) -> dict[int, int]:
    """Map each core to its NUMA node; empty if the kernel has no NUMA support."""
    folders = (root / "sys/devices/system/node").glob("node[0-9]*")
    return {cpu: int(f.name[4:]) for f in folders for cpu in _read_list(f / "cpulist")}
