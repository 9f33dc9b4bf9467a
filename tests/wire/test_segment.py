"""Joined replies (--segment), and peers that cannot receive them joined.

These tests run in a network namespace of their own, where a raw socket can use any source. The
server is stopped while requests are queued, so that they form one burst.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from pyroute2 import NetNS

import tool
from nearmetal.machine.links.netns import inside
from nearmetal.machine.processes.process import Child, ChildError, Where

LIMIT_S = 120.0
SOL_UDP, UDP_GRO = 17, 104  # linux/udp.h
SHORT, LONG = b"short", b"long"
LONG_BYTES = 1000
SMALL_MTU = 576
NEAR, FAR, NARROW = "127.0.0.1", "203.0.113.5", "127.0.0.5"
BAD, GOOD = 4, 8  # requests in one burst, from each peer
PORT = 11211


@contextmanager
def namespace() -> Iterator[Path]:
    """Make a namespace with loopback only, and a route with a small MTU to one address."""
    with Child(["unshare", "--net", "sh", "-c", "echo '{}'; exec sleep 1000"], Where()) as child:
        try:
            child.event(LIMIT_S)
        except ChildError as error:
            pytest.skip(f"no network namespace can be made: {error}")
        path = Path(f"/proc/{child.pid}/ns/net")
        with NetNS(str(path), flags=0) as route:
            (lo,) = route.link_lookup(ifname="lo")
            route.link("set", index=lo, state="up")
            narrow = {"dst": f"{NARROW}/32", "oif": lo, "metrics": {"mtu": SMALL_MTU}}
            route.route("add", **narrow, type="local", table=255, scope="host")
        yield path


@dataclass
class Bench:
    """A server, and a peer whose replies arrive as joined by the server."""

    server: tool.Program
    peer: socket.socket

    def burst(self, ask: Callable[[], None]) -> list[tuple[int, int]]:
        """Send a burst of both peers; return bytes and segment sizes received by the good peer."""
        with self.stopped():
            ask()
            for number in range(GOOD):
                self.peer.send(get(number, SHORT))
        return self.received()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        os.kill(self.server.pid, signal.SIGSTOP)
        tool.wait_until(
            lambda: psutil.Process(self.server.pid).status() == psutil.STATUS_STOPPED,
            "the server's stop",
        )
        yield
        os.kill(self.server.pid, signal.SIGCONT)

    def received(self) -> list[tuple[int, int]]:
        """Receive until there are as many replies as requests."""
        messages: list[tuple[int, int]] = []
        while sum(-(-size // segment) for size, segment in messages) < GOOD:
            data, control, _, _ = self.peer.recvmsg(65_536, socket.CMSG_SPACE(4))
            joined = [value for _, kind, value in control if kind == UDP_GRO]
            messages.append((len(data), struct.unpack("i", joined[0])[0] if joined else len(data)))
        return messages

    def counters(self) -> dict[str, int]:
        told = self.server.counters(LIMIT_S)
        return {name: told[name] for name in ("tx_unjoined", "tx_errors", "replies")}


def get(number: int, key: bytes) -> bytes:
    return struct.pack(">HHHH", number, 0, 1, 0) + b"get %b\r\n" % key


def raw(source: str, port: int, payload: bytes) -> bytes:
    """Return an IPv4 packet to the server, without a UDP checksum; the kernel fills in the rest."""
    udp = struct.pack(">HHHH", port, PORT, 8 + len(payload), 0) + payload
    ends = socket.inet_aton(source) + socket.inet_aton(NEAR)
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ends + udp


@pytest.fixture
def bench() -> Iterator[Bench]:
    built = tool.sanitized("nm-mmsg-kv").programs["nm-mmsg-kv"].argv()
    argv = [*built, "--listen", f"{NEAR}:{PORT}", "--allow", "0.0.0.0/0", "--segment"]
    argv += ["--batch", "64"]
    with (
        namespace() as path,
        inside(path),
        tool.Program([*argv, "--trusted", "0.0.0.0/0"]) as server,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as peer,
    ):
        server.expect("ready", LIMIT_S)
        peer.settimeout(LIMIT_S)
        peer.connect((NEAR, PORT))
        for key, size in ((SHORT, 8), (LONG, LONG_BYTES)):
            head = struct.pack(">HHHH", 0, 0, 1, 0) + b"set %b 0 0 %d\r\n" % (key, size)
            peer.send(head + b"x" * size + b"\r\n")
            assert peer.recv(65_536).endswith(b"STORED\r\n")
        peer.setsockopt(SOL_UDP, UDP_GRO, 1)
        yield Bench(server, peer)


@pytest.mark.parametrize(("source", "port"), [(NEAR, 0), (FAR, 4242)], ids=["port 0", "no route"])
def test_an_unreachable_peer_does_not_end_the_joining_of_others(
    bench: Bench, source: str, port: int
) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)) as spoof:

        def ask() -> None:
            for number in range(BAD):
                spoof.sendto(raw(source, port, get(number, SHORT)), (NEAR, 0))

        for times in (1, 2, 3):  # each time the server tries joined replies to it, too
            messages = bench.burst(ask)
            assert len(messages) == 1, messages
            counted = bench.counters()
            assert (counted["tx_unjoined"], counted["tx_errors"]) == (times, times * BAD)


def test_replies_over_the_mtu_of_one_route_go_alone(bench: Bench) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as narrow:
        narrow.bind((NARROW, 0))
        narrow.settimeout(LIMIT_S)
        narrow.connect((NEAR, PORT))

        def ask(key: bytes) -> None:
            for number in range(BAD):
                narrow.send(get(number, key))

        for times in (1, 2, 3):
            assert len(bench.burst(lambda: ask(LONG))) == 1
            assert all(len(narrow.recv(65_536)) > LONG_BYTES for _ in range(BAD))
            counted = bench.counters()
            assert (counted["tx_unjoined"], counted["tx_errors"]) == (times, 0)
        narrow.setsockopt(SOL_UDP, UDP_GRO, 1)
        bench.burst(lambda: ask(SHORT))  # replies that fit are joined, on this route too
        assert len(narrow.recv(65_536)) > len(get(0, SHORT)) * 2
        assert bench.counters()["tx_unjoined"] == 3


def test_a_whole_burst_of_long_replies_is_no_longer_than_a_datagram(bench: Bench) -> None:
    """64 replies of 1,034 bytes exceed an IPv4 datagram."""
    for _ in range(2):
        with bench.stopped():
            for number in range(64):
                bench.peer.send(get(number, LONG))
        got = 0
        while got < 64 * LONG_BYTES:
            got += len(bench.peer.recv(1 << 17))
    assert bench.counters()["tx_unjoined"] == 0
