"""Cores for the kernel's own work on a wire: receive processing of the server's end of a veth pair,
and carrying frames between a tap device and a guest (vhost-net).

A veth runs the receiver's network stack on the sender's core, so without steering the generator's
core does much of the server's work. With NAPI (switched on by GRO, and used for every packet:
offloads.to_napi) in its own kernel thread, that thread does the work and can be pinned to the
server's core. RPS would move the work too, but with an interrupt of the other core for nearly every
packet.

The generator's end is not steered: the server's core does its receive processing. Steered to the
generator's core, the work slows the generator, and the null responder was slower than rungs with a
store. All rows of a wire have the same cost.

GRO merges no datagrams here: for UDP the kernel does so only if a socket requests it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nearmetal.errors import NearmetalError
from nearmetal.machine import rights
from nearmetal.machine.cores.cpus import pin
from nearmetal.machine.links.netns import End, run_inside
from nearmetal.machine.links.offloads import gro_on, to_napi

_COMM_BYTES = 15  # older kernels cut a thread's name to this length


@dataclass(frozen=True)
class Receive:
    """The thread that does an end's receive processing, and its pinning."""

    thread: int | None  # a kernel thread; None: there is none, or it cannot be seen
    unpinned: str  # why it is not pinned to its core, in words; "": it is pinned


def pin_receive(end: End, peer: End, cpu: int) -> Receive:
    """Pin the end's receive processing to this core, if the machine allows it."""
    try:
        gro_on(end)
        to_napi(peer)
        known = set(napi_threads(end.iface))
        run_inside(end.netns, 'echo 1 > "/sys/class/net/$1/threaded"', end.iface)
    except NearmetalError as error:
        return Receive(None, f"it stays on the sender's core: {error}")
    new = set(napi_threads(end.iface)) - known
    if len(new) != 1:  # a container with its own process ids has the thread, but does not see it
        return Receive(None, "the kernel's thread for it cannot be seen here")
    (thread,) = new
    return Receive(thread, _kept_off(thread, cpu))


def _kept_off(thread: int, cpu: int) -> str:
    """Pin a kernel thread. Return why that is not possible, in words, or "" if it is pinned."""
    try:
        pin(thread, {cpu})
    except PermissionError:
        return rights.lacking("CAP_SYS_NICE", "pinning the kernel's thread for it")
    except OSError as error:  # a container may not use all cores
        return f"the kernel's thread for it stays where it is ({error.strerror})"
    return ""


def pin_carriers(pid: int, cpu: int) -> list[int]:
    """Pin the threads of QEMU's vhost-net device to this core. Return the pinned threads.

    Before Linux 6.4 these are kernel threads, which run on any core, not only on QEMU's.
    A thread that may not be pinned stays where it is.
    """
    return [thread for thread in vhost_threads(pid) if not _kept_off(thread, cpu)]


def napi_threads(iface: str) -> list[int]:
    """Return the kernel threads that do the receive processing of an interface."""
    name = f"napi/{iface}-"
    return [
        int(task.name)
        for task, comm in _named(Path("/proc").glob("[0-9]*"))
        if comm.startswith(name) or comm == name[:_COMM_BYTES]
    ]


def vhost_threads(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """Return the threads that carry frames for QEMU: the kernel's; from Linux 6.4 QEMU's own."""
    tasks = [*proc.glob("[0-9]*"), *(proc / str(pid) / "task").glob("[0-9]*")]
    return sorted({int(task.name) for task, comm in _named(tasks) if comm == f"vhost-{pid}"})


def _named(tasks: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield each thread that still runs, with its name."""
    for task in tasks:
        with contextlib.suppress(OSError):
            yield task, (task / "comm").read_text(encoding="utf-8", errors="replace").strip()
