"""Joined requests (nm-load --segment) on a veth pair: the server's end sees what it saw without."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import NetNS

import tool
from nearmetal.machine.devices import ethtool
from nearmetal.machine.links.netns import inside
from nearmetal.machine.processes.process import Child
from nearmetal.topology import bring_up as wires
from nearmetal.topology.standing import Topology
from nearmetal.topology.wires import veth

pytestmark = [
    pytest.mark.xdist_group("polls"),
    pytest.mark.skipif(os.geteuid() != 0, reason="veth needs root"),
]

LIMIT_S = 120.0
PORT = 21_400
UDP_SEGMENTATION = "tx-udp-segmentation"
ETH_P_IP = 0x0800
SOL_PACKET, PACKET_STATISTICS = 263, 6  # linux/if_packet.h
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
ROOM_BYTES = 1 << 28  # for all packets of a test, so that none is dropped before it is counted
SMALL_MTU = 576
# The requests of 0.2 s. No request is lost when the machine stalls for less than a second.
LOAD = ["--keys", "1000", "--window", "64", "--flows", "4", "--warmup", "0", "--time", "0.2"]
LOAD += ["--timeout", "1", "--get", "0.8", "--set", "0.2"]


@dataclass
class Seen:
    """The requests that the stack of the server's end received, as packets."""

    sizes: Counter[int] = field(default_factory=Counter)  # bytes of UDP payload
    headers: set[bytes] = field(default_factory=set)  # of IP: version, TOS, flags, TTL, protocol
    ports: set[int] = field(default_factory=set)

    def add(self, packet: bytes) -> None:
        whole, source, target, udp = struct.unpack_from(">2xH16xHHH", packet)
        if target != PORT:
            return
        assert whole == 20 + udp  # one datagram with its headers, and no fragment of one
        self.sizes[udp - 8] += 1
        self.headers.add(packet[:2] + packet[6:10])
        self.ports.add(source)


@pytest.fixture(scope="module")
def wire() -> Iterator[Topology]:
    """One pair for all tests."""
    with wires.up("veth") as top:
        yield top


@contextmanager
def watched(top: Topology) -> Iterator[Seen]:
    """Record the packets that arrive at the server's end during the body."""
    seen, over = Seen(), threading.Event()
    with inside(top.sut.netns):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    with tap:
        tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_BYTES)
        tap.settimeout(0.2)
        tap.bind((top.sut_iface, ETH_P_IP))

        def read() -> None:
            while True:
                try:
                    packet, (_, _, kind, *_) = tap.recvfrom(1 << 17)
                except TimeoutError:
                    if over.is_set():
                        return
                    continue
                if kind != socket.PACKET_OUTGOING:
                    seen.add(packet)

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()
        _, dropped = struct.unpack("II", tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        assert dropped == 0


def received(top: Topology) -> int:
    """IP packets that the stack of the server's end received since it was made."""
    with inside(top.sut.netns):
        lines = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii").splitlines()
    names, values = [line.split()[1:] for line in lines if line.startswith("Ip:")]
    return int(dict(zip(names, values, strict=True))["InReceives"])


@contextmanager
def server(top: Topology, service: str) -> Iterator[None]:
    argv = [*tool.sanitized(f"nm-mmsg-{service}").programs[f"nm-mmsg-{service}"].argv()]
    argv += ["--listen", f"{top.sut_addr}:{PORT}", "--allow", top.subnet, "--trusted", top.subnet]
    with Child(argv, top.sut) as child:
        child.expect("ready", LIMIT_S)
        yield


def load(top: Topology, *options: str) -> dict[str, Any]:
    """Run the generator; return its result."""
    argv = tool.sanitized("nm-load").programs["nm-load"].argv()
    with Child([*argv, "--target", f"{top.sut_addr}:{PORT}", *LOAD, *options], top.tg) as child:
        while True:
            event = child.event(LIMIT_S)
            if event["event"] == "result":
                return event


def asked(top: Topology, *options: str) -> tuple[dict[str, Any], Seen]:
    """Run the generator before an echo, without loss; return its result and what was seen."""
    with server(top, "echo"), watched(top) as seen:
        before = received(top)
        result = load(top, "--service", "echo", *options)
        arrived = received(top) - before
    assert result["answered"] == result["sent"] > 0
    assert arrived == seen.sizes.total()
    return result, seen


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "tx-udp-segmentation stays on here"),
        (
            OSError(errno.EOPNOTSUPP, "Operation not supported"),
            "tx-udp-segmentation cannot be switched off here (Operation not supported)",
        ),
    ],
    ids=["ignored", "refused"],
)
def test_a_wire_that_does_not_cut_says_so(
    error: OSError | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def switch(*feature: object) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(ethtool, "switch_named", switch)
    with wires.up("veth") as top:
        assert veth.JOINED.tried(top) == said


def test_the_wire_cuts_and_its_generator_joins(wire: Topology) -> None:
    assert veth.JOINED.tried(wire) is None
    with inside(wire.tg.netns):
        assert not ethtool.has_named(wire.tg_iface, UDP_SEGMENTATION)
    with inside(wire.sut.netns):  # replies may still be joined
        assert ethtool.has_named(wire.sut_iface, UDP_SEGMENTATION)


def test_the_server_s_end_sees_one_packet_a_request(wire: Topology) -> None:
    plain, seen = asked(wire)
    joined, also = asked(wire, *veth.JOINED.flags)
    for result, what in ((plain, seen), (joined, also)):
        gets, sets = sorted(what.sizes)
        assert (what.sizes[gets], what.sizes[sets]) == (result["gets"], result["sets"])
        assert len(what.ports) == 4
    assert seen.sizes.keys() == also.sizes.keys()
    assert seen.headers == also.headers
    assert "segments" not in plain
    assert joined["segments"]["joined"] > 0 == joined["segments"]["refused"]


@pytest.mark.parametrize("more", [[], ["--rate", "20000"], ["--stamp"]], ids=" ".join)
def test_other_loads_are_seen_as_they_are_sent(wire: Topology, more: list[str]) -> None:
    options = [*more, "--value-bytes", "1300", "--segment"]
    if not more:
        options += ["--lcores", ",".join(map(str, sorted({wire.tg_cpu, wire.sut_cpu})))]
    result, seen = asked(wire, *options)
    assert sorted(seen.sizes.values()) == sorted((result["gets"], result["sets"]))
    assert len(seen.ports) == 4 and result["segments"]["refused"] == 0


def test_every_key_is_stored_and_read(wire: Topology) -> None:
    with server(wire, "kv"):
        result = load(wire, "--segment", "--no-overlap")
        again = load(wire, "--segment", "--no-preload")
    for each in (result, again):
        assert each["answered"] == each["sent"] == each["gets"] + each["sets"] > 0
        assert each["wrong"] == 0 < each["segments"]["joined"]


def test_without_the_wire_s_cut_the_test_would_see_it(wire: Topology) -> None:
    with inside(wire.tg.netns):
        ethtool.switch_named(wire.tg_iface, UDP_SEGMENTATION, True)
    try:
        with server(wire, "echo"):
            before = received(wire)
            result = load(wire, "--service", "echo", "--segment")
            arrived = received(wire) - before
    finally:
        with inside(wire.tg.netns):
            ethtool.switch_named(wire.tg_iface, UDP_SEGMENTATION, False)
    assert arrived < result["sent"] == result["answered"]


def test_requests_over_the_mtu_of_the_route_go_alone(wire: Topology) -> None:
    """They leave as they do without --segment: each in fragments."""
    with NetNS(str(wire.tg.netns), flags=0) as route:
        (link,) = route.link_lookup(ifname=wire.tg_iface)
        narrow = {"dst": f"{wire.sut_addr}/32", "oif": link, "metrics": {"mtu": SMALL_MTU}}
        route.route("add", **narrow)
        try:
            with server(wire, "echo"):
                result = load(wire, "--service", "echo", "--segment", "--value-bytes", "1000")
        finally:
            route.route("del", **narrow)
    assert result["answered"] == result["sent"] > result["sets"] > 0
    assert result["segments"]["joined"] > 0 < result["segments"]["refused"]
