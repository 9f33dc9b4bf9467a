"""testpmd between a NIC-like port and a vhost-user port, forwarding until it is stopped.

It forwards at layer 2 (mode `mac`): what comes in at one port leaves at the other, from that
port's address to the peer's; between machines (mode `io`) just as it came. The server connects
to a socket, or is connected to.
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

NIC, VHOST = 0, 1  # ports, in the order in which testpmd is given them
_BUFFERS = 16_384  # both ports' rings, and what is under way


@dataclass(frozen=True)
class Sides:
    """What a switch joins."""

    port: nic.Port
    socket: Path  # where the server connects
    peer_mac: str | None  # the generator's; None: frames go on as they are, to and from several
    server_mac: str
    cpus: tuple[int, ...]  # where it polls
    calls: bool = False  # the server's side listens, as QEMU does, and the switch connects


@contextmanager
def forwarding(testpmd: Sequence[str], sides: Sides, journal: Journal) -> Iterator[Testpmd]:
    """A switch at work, by DPDK's testpmd (testpmd.program); its socket is there."""
    with ExitStack() as stack:
        hugepages = stack.enter_context(nic.memory(journal)) > 0
        record = None
        if not sides.calls:  # else it is the other side's
            record = stack.enter_context(journal.holds("path", str(sides.socket)))
        argv = [*testpmd, *_arguments(sides, hugepages)]
        stack.enter_context(journal.holds("process", "the switch"))
        switch = stack.enter_context(Testpmd(argv, sides.port.where))
        if record is not None and (made := identity(sides.socket)) is not None:
            record.came_about(made)
        yield switch


def _arguments(sides: Sides, hugepages: bool) -> list[str]:
    """EAL's, then testpmd's own."""
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
