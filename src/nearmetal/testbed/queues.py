"""Queues of the data NIC: entries, number, and the core for their receive processing.

A server of one core must do its receive processing itself: one queue, its interrupt on that core,
and no frame moved to another core (Documentation/networking/scaling.rst). A veth has no interrupts
and no rings: data_nic.py uses a kernel thread for it. The journal restores everything.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from nearmetal.errors import BadInputError
from nearmetal.machine.cores import cpus
from nearmetal.machine.devices import ethtool, pci
from nearmetal.machine.journal import Journal, changed
from nearmetal.machine.tune.interrupts import affinities_of, irqbalance
from nearmetal.machine.tune.setting import text_of
from nearmetal.samples import Frozen

Entries = int | Literal["max"]


def rings(stack: ExitStack, journal: Journal, iface: str, wanted: Entries) -> str:
    """Set so many entries for each direction. Return the result in words."""
    now, most = ethtool.rings(iface), ethtool.rings_max(iface)
    if now is None or most is None:
        return "the driver does not allow setting ring sizes"
    if wanted != "max" and wanted > min(most.rx, most.tx):
        raise BadInputError(
            f"rings = {wanted}: {iface} takes at most {most.rx} to receive and {most.tx} to send"
        )
    to = most if wanted == "max" else ethtool.Rings(rx=wanted, tx=wanted)
    were = f"rings of {now.rx} to receive and {now.tx} to send"
    if now == to:
        return were
    stack.enter_context(journal.holds("rings", iface, **_to(now, to)))
    try:
        ethtool.set_rings(iface, to)
    except OSError as error:
        return f"{were}, which its driver keeps ({error.strerror})"
    return f"rings of {to.rx} to receive and {to.tx} to send ({now.rx} and {now.tx} before)"


def one(stack: ExitStack, journal: Journal, iface: str) -> str:
    """Reduce the NIC to one queue. Return the result in words."""
    now = ethtool.channels(iface)
    if now is None or now.queues <= 1:
        return "one queue"
    apart = 0 if now.combined else 1  # receive and transmit queues have separate interrupts
    to = ethtool.Channels(rx=apart, tx=apart, other=now.other, combined=1 - apart)
    stack.enter_context(journal.holds("channels", iface, **_to(now, to)))
    try:
        ethtool.set_channels(iface, to)
    except OSError as error:
        return f"{now.queues} queues, which its driver keeps ({error.strerror})"
    return f"one queue ({now.queues} before)"


def on_core(stack: ExitStack, journal: Journal, iface: str, cpu: int, root: Path) -> str:
    """Put the NIC's interrupts on this core, without RPS. Return the result in words."""
    its = pci.of_interface(iface, root)
    numbers = its.interrupts if its else []
    if not numbers:
        return "no interrupts of its own"
    kept = [n for n in numbers if not _moved(stack, journal, _affinity(root, n), cpu)]
    _steer(stack, journal, root / "sys/class/net" / iface / "queues", cpu)
    found = ethtool.channels(iface)
    queues = f"queues {found.queues}, " if found else ""
    told = [f"{queues}{_numbered(sorted({*numbers} - {*kept}))} on core {cpu}"]
    if kept:
        told.append(f"{_numbered(kept)} stays where its driver put it")
    if irqbalance(root):
        told.append("irqbalance runs and may move them again")
    return "; ".join(told)


def left_alone(iface: str, root: Path) -> str:
    """Describe the cores of the NIC's interrupts, which are not changed."""
    its = pci.of_interface(iface, root)
    may = affinities_of(root)
    files = [_affinity(root, number) for number in (its.interrupts if its else [])]
    cores = frozenset[int]().union(*(may[file] for file in files if file in may))
    if not cores:
        return "no interrupts of its own"
    return f"its interrupts on cores {cpus.format_list(cores)}, as its machine has them"


def _moved(stack: ExitStack, journal: Journal, file: Path, cpu: int) -> bool:
    """Whether the interrupt is on this core now; False: the kernel does not let it move."""
    old = text_of(file)
    if old is not None and cpus.parse_list(old) == {cpu}:
        return True
    try:
        stack.enter_context(changed(journal, file, str(cpu)))
    except OSError:
        return False
    return True


def _steer(stack: ExitStack, journal: Journal, queues: Path, cpu: int) -> None:
    """Switch RPS off, and let this core send by the first queue (XPS) if there are several."""
    for name, to in (("rx-*/rps_cpus", frozenset[int]()), ("tx-0/xps_cpus", frozenset({cpu}))):
        for file in sorted(queues.glob(name)):
            old = text_of(file)  # unreadable with a single queue
            if old is not None and cpus.parse_mask(old) != to:
                stack.enter_context(changed(journal, file, cpus.format_mask(to)))


def _to(now: Frozen, to: Frozen) -> dict[str, str | None]:
    return {"old": now.model_dump_json(), "new": to.model_dump_json()}


def _affinity(root: Path, number: int) -> Path:
    return root / f"proc/irq/{number}/smp_affinity_list"


def _numbered(numbers: list[int]) -> str:
    return f"interrupt{'s' if len(numbers) > 1 else ''} {cpus.format_list(numbers)}"
