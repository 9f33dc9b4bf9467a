"""switch: testpmd between a NIC-like port and a vhost-user port, as in the paper's set-up.

    generator - veth or NIC - [testpmd] - vhost-user - server

It forwards at layer 2 (mode `mac`): what comes in at one port leaves at the other, from that port's
address to the peer's; between machines (mode `io`) just as it came. The server connects to a
socket. The switch polls: beside a polling server and a generator it is a third, and where there are
only two cores it takes its time from both.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nearmetal.build import fetched
from nearmetal.errors import BadInputError
from nearmetal.machine.journal import Journal, open_journal
from nearmetal.machine.links import netns, nic
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.process import ChildError
from nearmetal.topology.testpmd import PortCounts, Testpmd, program

SERVER_MAC = "02:00:00:00:00:03"  # of the server behind the switch; locally administered

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_BUFFERS = 16_384  # both ports' rings, and what is under way
_NIC, _VHOST = 0, 1  # ports, in the order in which testpmd is given them


@dataclass(frozen=True)
class Sides:
    """What a switch joins."""

    port: nic.Port
    socket: Path  # where the server connects
    peer_mac: str | None  # the generator's; None: frames go on as they are, to and from several
    server_mac: str
    cpus: str  # where it polls, as EAL's core list
    calls: bool = False  # the server's side listens, as QEMU does, and the switch connects


def switch(nic_name: str | None, socket: Path | None, peer: str | None, server_mac: str) -> int:
    """Forward until SIGTERM, SIGINT or testpmd's own end; then print its counts."""
    _check(nic_name, socket, peer, server_mac)
    journal = open_journal()
    with ExitStack() as stack:
        port = stack.enter_context(nic.port(nic_name, journal))
        if port.wire is not None:
            peer = port.wire.tg.mac
            # `mac` gives every frame the server's address, so ARP gets through, but its answer
            # would name one that the switch does not know.
            netns.neighbour(port.wire.tg, port.wire.sut.addr, port.wire.sut.mac)
        assert peer is not None
        path = socket or owner.state_directory() / f"nm-{os.getpid()}-switch.sock"
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
        sides = Sides(port, path, peer, server_mac, f"({cpus})")
        running = stack.enter_context(forwarding(sides, journal))
        _tell(sides)
        try:
            raise ChildError(running.wait())
        except KeyboardInterrupt:
            print(json.dumps(final(running.stop())))
    return 0


@contextmanager
def forwarding(sides: Sides, journal: Journal) -> Iterator[Testpmd]:
    """A switch at work; its socket is there."""
    testpmd = program(*fetched.provide("dpdk-testpmd"))
    with ExitStack() as stack:
        memory, _ = stack.enter_context(nic.memory(journal))
        stack.enter_context(journal.holds("path", str(sides.socket)))
        argv = [*testpmd, *_arguments(sides, memory)]
        stack.enter_context(journal.holds("process", "the switch"))
        yield stack.enter_context(Testpmd(argv, sides.port.where))


def final(counts: tuple[PortCounts, ...]) -> dict[str, object]:
    """The last line."""
    nic_port, vhost = (asdict(counts[port]) for port in (_NIC, _VHOST))
    return {"event": "final", "nic": nic_port, "vhost": vhost}


def _arguments(sides: Sides, memory: tuple[str, ...]) -> list[str]:
    """EAL's, then testpmd's own."""
    main = nic.lcores()
    vhost = f"net_vhost0,iface={sides.socket},queues=1" + (",client=1" if sides.calls else "")
    argv = [
        *(*memory, "--no-telemetry", "--log-level=error", "--lcores", f"{main},1@{sides.cpus}"),
        *(*sides.port.eal, "--vdev", vhost),
        *("--", "--nb-cores=1", f"--total-num-mbufs={_BUFFERS}"),
    ]
    if sides.peer_mac is None:
        return [*argv, "--forward-mode=io"]
    argv += [f"--eth-peer={_NIC},{sides.peer_mac}", f"--eth-peer={_VHOST},{sides.server_mac}"]
    return [*argv, "--forward-mode=mac"]


def _check(nic_name: str | None, socket: Path | None, peer: str | None, server_mac: str) -> None:
    for option, mac in (("--peer", peer), ("--server-mac", server_mac)):
        if mac is not None and not _MAC.fullmatch(mac):
            raise BadInputError(f"{option} {mac}: not a MAC address, as 02:00:00:00:00:03")
    if (nic_name is None) != (peer is None):
        raise BadInputError(
            "--peer goes with --nic: it is the MAC address to which frames leave there; a veth pair"
            " made for the switch has its own"
        )
    if socket is not None and socket.exists():
        raise BadInputError(f"--socket {socket}: is there already; name another, or remove it")


def _tell(sides: Sides) -> None:
    """What a user needs to use it."""
    lines = [f"nearmetal: the switch forwards to the vhost-user socket {sides.socket}"]
    wire = sides.port.wire
    if wire is not None:
        device = f"net_virtio_user0,path={sides.socket},mac={sides.server_mac}"
        lines += [
            f"nearmetal: ask {wire.sut.addr}, once a server answers for it: nm-dpdk-kv --listen"
            f" {wire.sut.addr}:11211 --allow {wire.subnet} -- --in-memory --no-pci --vdev {device}"
        ]
    print("\n".join(lines), file=sys.stderr)
