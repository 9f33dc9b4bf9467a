"""Which core does what the kernel does for a wire: receive processing of the server's end of a veth
pair; carrying frames between a tap device and a guest (vhost-net).

A veth runs the receiver's network stack on the sender's core, so unsteered the generator's core
does a good part of the server's work. With NAPI (which GRO switches on for veth) in a kernel
thread of its own, it is done by a thread that can be pinned to the server's core. RPS would do it
too, at an interrupt of the other core for nearly every packet.

The generator's end stays as it is, that is, the server's core does its receive processing: steered
to the generator's core it takes the room from the generator, and the null responder came out slower
than rungs that have a store. All rows of a wire pay the same.

GRO merges no datagrams here: the kernel does that for UDP only where a socket asks for it.
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
from nearmetal.machine.links.offloads import gro_on

_COMM_BYTES = 15  # older kernels cut a thread's name to this


@dataclass(frozen=True)
class Receive:
    """Who does an end's receive processing."""

    thread: int | None  # a thread of the kernel's; None: no such, or not to be seen
    unpinned: str  # why it is not on its core, in words; "": it is


def pin_receive(end: End, cpu: int) -> Receive:
    """Do the end's receive processing on this core, where the machine lets us."""
    try:
        gro_on(end)
        known = set(napi_threads(end.iface))
        run_inside(end.netns, 'echo 1 > "/sys/class/net/$1/threaded"', end.iface)
    except NearmetalError as error:
        return Receive(None, f"it stays on the sender's core: {error}")
    new = set(napi_threads(end.iface)) - known
    if len(new) != 1:  # in a container of its own process ids the thread is there, but not seen
        return Receive(None, "the kernel's thread that does it cannot be seen here")
    (thread,) = new
    return Receive(thread, _kept_off(thread, cpu))


def _kept_off(thread: int, cpu: int) -> str:
    """Why a thread of the kernel's cannot be pinned; "": it is."""
    try:
        pin(thread, {cpu})
    except PermissionError:
        return rights.lacking("CAP_SYS_NICE", "pinning the kernel's thread that does it")
    except OSError as error:  # a container's cores are not all
        return f"the kernel's thread that does it stays where it is ({error.strerror})"
    return ""


def pin_carriers(pid: int, cpu: int) -> list[int]:
    """Carry the frames of a QEMU's vhost-net device on this core. Returns the threads.

    Before Linux 6.4 they are the kernel's own, which run on any core, not only on those of QEMU.
    One that may not be pinned is left there.
    """
    return [thread for thread in vhost_threads(pid) if not _kept_off(thread, cpu)]


def napi_threads(iface: str) -> list[int]:
    """The kernel's threads that do the receive processing of an interface."""
    name = f"napi/{iface}-"
    return [
        int(task.name)
        for task, comm in _named(Path("/proc").glob("[0-9]*"))
        if comm.startswith(name) or comm == name[:_COMM_BYTES]
    ]


def vhost_threads(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """The threads that carry frames for a QEMU: the kernel's, or from Linux 6.4 on its own."""
    tasks = [*proc.glob("[0-9]*"), *(proc / str(pid) / "task").glob("[0-9]*")]
    return sorted({int(task.name) for task, comm in _named(tasks) if comm == f"vhost-{pid}"})


def _named(tasks: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """With the name of each that is still there."""
    for task in tasks:
        with contextlib.suppress(OSError):
            yield task, (task / "comm").read_text(encoding="utf-8", errors="replace").strip()
