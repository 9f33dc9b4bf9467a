"""switch: run testpmd between a NIC or veth port and a vhost-user port, as in the paper's set-up.

    generator - veth or NIC - [testpmd] - vhost-user - server

It forwards at layer 2 (mode `mac`): a frame received on one port is sent on the other, with that
port's address as source and the peer's as destination. Between machines (mode `io`) frames are sent
unchanged. The server connects to a socket. The switch polls all the time; with a polling server and
the generator it is the third busy program, so on two cores it takes time from both.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nearmetal.build import fetched
from nearmetal.errors import BadInputError
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, nic
from nearmetal.machine.links.frames import BEHIND_SWITCH_MAC
from nearmetal.machine.processes import owner, signals
from nearmetal.machine.processes.process import ChildError
from nearmetal.topology.switch import NIC, VHOST, Sides, forwarding
from nearmetal.topology.testpmd import PortCounts, program

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


def switch(
    nic_name: str | None,
    socket: Path | None,
    peer: str | None,
    server_mac: str | None,
    *,
    quiet: bool,
    as_json: bool,
) -> int:
    """Forward until SIGTERM or SIGINT; print testpmd's counts and return the exit code.

    Raises ChildError: testpmd ended by itself.
    """
    server_mac = BEHIND_SWITCH_MAC if server_mac is None else server_mac
    _check(nic_name, socket, peer, server_mac)
    testpmd, journal = program(*fetched.provide("dpdk-testpmd")), open_journal()
    with ExitStack() as stack:
        port = stack.enter_context(nic.port(nic_name, journal))
        if port.wire is not None:
            peer = port.wire.tg.mac
            # Mode `mac` rewrites the destination of every frame to the server's address, so ARP
            # requests arrive. The reply, however, would name an address that the switch does not
            # use: set the neighbour entry instead.
            netns.neighbour(port.wire.tg, port.wire.sut.addr, port.wire.sut.mac)
        assert peer is not None
        path = socket or owner.state_directory() / owner.label("switch.sock")
        sides = Sides(port, path, peer, server_mac, tuple(os.sched_getaffinity(0)))
        running = stack.enter_context(forwarding(testpmd, sides, journal))
        try:
            if not quiet:
                _tell(sides)
            raise ChildError(running.wait())
        except KeyboardInterrupt as end:
            told = final(running.stop())
            if as_json:
                print(json.dumps(told), flush=True)
            elif not quiet:
                print(f"nearmetal: {in_words(told)}", file=sys.stderr)
            return signals.code_of_service(end)


def final(counts: tuple[PortCounts, ...]) -> dict[str, Any]:
    """Return the last line, for programs."""
    nic_port, vhost = (asdict(counts[port]) for port in (NIC, VHOST))
    return {"event": "final", "nic": nic_port, "vhost": vhost}


def in_words(told: dict[str, Any]) -> str:
    """Return the last line, for people."""
    sides = (
        f"{side}: {', '.join(f'{name} {count:,}' for name, count in told[side].items())}"
        for side in ("nic", "vhost")
    )
    return f"the switch ended; {'; '.join(sides)}"


def _check(nic_name: str | None, socket: Path | None, peer: str | None, server_mac: str) -> None:
    for option, mac in (("--peer", peer), ("--server-mac", server_mac)):
        if mac is not None and not _MAC.fullmatch(mac):
            raise BadInputError(f"{option} {mac}: give a MAC address, e.g. 02:00:00:00:00:03")
    if (nic_name is None) != (peer is None):
        raise BadInputError(
            "--nic and --peer: give both or neither; --peer is the MAC address that frames are sent"
            " to on the NIC, and a veth pair made for the switch needs none"
        )
    if socket is not None and socket.exists():
        raise BadInputError(f"--socket {socket}: exists already; name another, or remove it")


def _tell(sides: Sides) -> None:
    """Print what the user needs to connect a server."""
    lines = [f"nearmetal: the switch forwards to the vhost-user socket {sides.socket}"]
    wire = sides.port.wire
    if wire is not None:
        device = f"net_virtio_user0,path={sides.socket},mac={sides.server_mac}"
        lines += [
            f"nearmetal: send requests to {wire.sut.addr} after starting a server: nm-dpdk-kv"
            f" --listen {wire.sut.addr}:11211 --allow {wire.subnet} -- --in-memory --no-pci --vdev"
            f" {device}"
        ]
    lines += ["nearmetal: Ctrl-C ends it"]
    print("\n".join(lines), file=sys.stderr)
