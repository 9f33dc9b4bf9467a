"""Run testpmd as a switch between a NIC or veth port and a vhost-user port until it is stopped.

It forwards at layer 2 (mode `mac`): a frame received on one port is sent on the other, with that
port's address as source and the peer's as destination. Between machines (mode `io`) frames are sent
unchanged. The server connects to the socket, or listens on it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from nearmetal.machine.journal import Journal
from nearmetal.machine.links import eal, nic
from nearmetal.machine.undo import identity
from nearmetal.topology.testpmd import Testpmd

NIC, VHOST = 0, 1  # port numbers, in the order of testpmd's arguments
_BUFFERS = 16_384  # for the rings of both ports, and the frames in flight


@dataclass(frozen=True)
class Sides:
    """The two sides of a switch."""

    port: nic.Port
    socket: Path  # the vhost-user socket
    peer_mac: str | None  # the generator's; None: several peers, frames are forwarded unchanged
    server_mac: str
    cpus: tuple[int, ...]  # cores to poll on
    calls: bool = False  # the switch connects, because the server's side listens, as QEMU does


@contextmanager
def forwarding(testpmd: Sequence[str], sides: Sides, journal: Journal) -> Iterator[Testpmd]:
    """Run a switch with DPDK's testpmd (testpmd.program); its socket exists inside the body."""
    with ExitStack() as stack:
        hugepages = stack.enter_context(nic.memory(journal)) > 0
        record = None
        if not sides.calls:  # else the other side makes the socket
            record = stack.enter_context(journal.holds("path", str(sides.socket)))
        argv = [*testpmd, *_arguments(sides, hugepages)]
        stack.enter_context(journal.holds("process", "the switch"))
        switch = stack.enter_context(Testpmd(argv, sides.port.where))
        if record is not None and (made := identity(sides.socket)) is not None:
            record.came_about(made)
        yield switch


def _arguments(sides: Sides, hugepages: bool) -> list[str]:
    """Return EAL's arguments, then testpmd's own."""
    vhost = f"net_vhost0,iface={sides.socket},queues=1" + (",client=1" if sides.calls else "")
    argv = [
        *(*eal.memory(hugepages=hugepages), "--log-level=error"),
        *eal.threads(os.sched_getaffinity(0), sides.cpus),
        *(*sides.port.eal, "--vdev", vhost),
        *("--", "--nb-cores=1", f"--total-num-mbufs={_BUFFERS}"),
    ]
    if sides.peer_mac is None:
        return [*argv, "--forward-mode=io"]
    argv += [f"--eth-peer={NIC},{sides.peer_mac}", f"--eth-peer={VHOST},{sides.server_mac}"]
    return [*argv, "--forward-mode=mac"]
