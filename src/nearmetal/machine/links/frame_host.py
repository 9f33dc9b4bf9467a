"""A host made of frames on a server's vhost-user wire: sends requests and checks every answer.

    with frame_host.started(argv, vhost_socket, ["--unix", unix_socket], Where()) as child:
        ...start the server...
        child.expect("up", START_S)
        with frame_host.Host(unix_socket, "10.0.0.100", 11211) as host:
            host.ask(datagram, "127.0.0.1")

`nm-relay` (docs/programs.md) carries the frames; Host builds and checks them (frames.py), finds the
server by ARP and answers ARP for its own addresses. Host acts as several sources: source 127.0.0.3
of a loopback test becomes the address at the same distance from `base`.

Requests are pipelined: up to WINDOW requests are in flight at a time, told apart by their ids.
Servers answer in order, so once the last request is answered, earlier ones get no more answers.
"""

from __future__ import annotations

import itertools
import math
import select
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from nearmetal.errors import NearmetalError
from nearmetal.machine.links import frames
from nearmetal.machine.links.frames import Arp, Datagram, Echo, Ends
from nearmetal.machine.processes.process import START_S, Child, Where

ANSWER_S = 3.0  # longest wait for one frame, many times what an idle machine needs
SILENT_S = 3.0  # Linux probes a silent neighbour 5 s after it last used the entry (arp(7))
WINDOW = 16  # requests in flight
WINDOW_S = 30.0  # for all answers of a window: an emulated machine may take seconds
BASE = "10.0.0.1"
MAC = b"\x02\0\0\0\1\1"

_LOOPBACK = IPv4Address("127.0.0.1")
_SOURCE_PORT = 40_000
_ARP_AGAIN_S = 0.5
_DATAGRAMS_MAX = 64  # in one reply
_TAKEN_MAX = 4096  # frames read in one call
_VERSION = b"version\r\n"
_SOL_PACKET, _IGNORE_OUTGOING = 263, 23  # linux/socket.h, linux/if_packet.h
_ETH_P_ALL = 3  # linux/if_ether.h


class HostError(NearmetalError):
    """The server is silent or sent something it must not send."""


@contextmanager
def started(
    argv: Sequence[str | Path],
    vhost: Path,
    carrier: Sequence[str | Path],
    where: Where,
    *,
    connect: bool = False,
) -> Iterator[Child]:
    """Start a relay that waits for a server on `vhost`, or connects to it.

    carrier: --unix PATH, where the relay waits for a Host, or --tap NAME, which it opens.
    """
    command = [*argv, "--socket", str(vhost), *carrier]
    with Child([*command, "--connect"] if connect else command, where) as child:
        child.expect("ready", START_S)
        yield child


class Link:
    """A carrier of frames: each frame is one message of a socket."""

    def __init__(self, carrier: socket.socket) -> None:
        self._socket = carrier
        self._socket.setblocking(False)
        self._came: deque[bytes] = deque()

    @classmethod
    def to_relay(cls, path: Path) -> Link:
        """Return a link to the relay's AF_UNIX socket."""
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        unix.bind("")  # any abstract name (unix(7), Autobind): the relay sends there
        unix.connect(str(path))
        return cls(unix)

    @classmethod
    def at_interface(cls, iface: str) -> Link:
        """Return a link to an interface of this thread's network namespace, both ways."""
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        packets.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        packets.bind((iface, _ETH_P_ALL))
        return cls(packets)

    def send(self, frame: bytes) -> None:
        """Send a frame, and read frames while waiting: neither side may block on the other."""
        deadline = time.monotonic() + ANSWER_S
        while not self._sent(frame):
            if (left_s := deadline - time.monotonic()) <= 0:
                raise HostError("the relay takes no frames")
            select.select([self._socket], [self._socket], [], left_s)
            self._take()

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the next frame, or None if none arrives in time."""
        if timeout_s <= 0:
            return None
        if not self._came:
            select.select([self._socket], [], [], timeout_s)
            self._take()
        return self._came.popleft() if self._came else None

    def close(self) -> None:
        self._socket.close()

    def _sent(self, frame: bytes) -> bool:
        try:
            self._socket.send(frame)
        except BlockingIOError:
            return False
        except OSError as error:
            raise HostError(f"the relay has ended: {error.strerror}") from None
        return True

    def _take(self) -> None:
        """Read the frames that have arrived, at most _TAKEN_MAX, so that a flood cannot hold us."""
        for _ in range(_TAKEN_MAX):
            try:
                self._came.append(self._socket.recv(65_536))
            except BlockingIOError:
                return
            except OSError as error:
                raise HostError(f"the relay has ended: {error.strerror}") from None


class Host:
    """Addresses from `base` on, and one server that they send requests to."""

    def __init__(self, carrier: Path | Link, server: str, port: int, *, base: str = BASE) -> None:
        self.link = carrier if isinstance(carrier, Link) else Link.to_relay(carrier)
        self.server, self.port = server, port
        self.mac = MAC
        self.sent: Counter[str] = Counter()  # frames by kind: udp, arp, icmp
        self.sentinel_count = 0
        self._base = IPv4Address(base)
        self._ids = itertools.cycle(range(0x10000))
        self._mine: set[str] = {base}
        self._spoke: dict[str, float] = {}  # address -> time of its last request
        self._server_mac: bytes | None = None

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.link.close()

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        """Return all reply datagrams of one request, in order."""
        return self.ask_many([(datagram, source)])[0]

    def ask_many(self, questions: Sequence[tuple[bytes, str]]) -> list[list[bytes]]:
        """Send many requests, which the server handles in order; return the replies of each."""
        answers: list[list[bytes]] = []
        for start in range(0, len(questions), WINDOW):
            answers += self._ask_window(questions[start : start + WINDOW])
        return answers

    def echo(self, datagram: bytes) -> bytes:
        """Send one datagram and return the payload of the one answer."""
        return self.exchange([datagram])

    def exchange(self, datagrams: Sequence[bytes]) -> bytes:
        """Send datagrams and return the payload of the next answer."""
        source = self.address(str(_LOOPBACK))
        for datagram in datagrams:
            self.send(self.udp(source, datagram), "udp")
        return self._datagram(_short(datagrams[-1])).payload

    def ping(self, payload: bytes) -> Echo:
        """Return the reply to an ICMP echo request."""
        self.send(
            frames.echo(self.ends(str(self._base)), frames.ECHO_REQUEST, 7, 1, payload), "icmp"
        )
        reply = self.receive("a ping")
        if not isinstance(reply, Echo) or reply.kind != frames.ECHO_REPLY:
            raise HostError(f"a ping was answered by {reply}")
        return reply

    def address(self, source: str) -> str:
        """Return the address as far from `base` as `source` is from 127.0.0.1.

        A new address first resolves the server by ARP, as every host does. A server that keeps
        neighbours then has this address in its table; else its first answer would wait for an ARP
        reply and arrive after later answers. An address that was silent for SILENT_S resolves
        again: a kernel probes such neighbours and drops those without an answer, and Host answers
        no probe between two requests.
        """
        ours = str(self._base + (int(IPv4Address(source)) - int(_LOOPBACK)))
        silent_s = time.monotonic() - self._spoke.get(ours, -math.inf)
        self._mine.add(ours)
        if silent_s > SILENT_S:
            self._resolve(ours)
        self._spoke[ours] = time.monotonic()
        return ours

    def ends(self, source: str) -> Ends:
        """Return the ends of a frame from one of our addresses to the server."""
        return Ends(self.mac, self.server_mac(), source, self.server)

    def udp(self, source: str, payload: bytes) -> bytes:
        """Return a frame from one of our addresses to the server's port."""
        return frames.udp(self.ends(source), _SOURCE_PORT, self.port, payload)

    def send(self, frame: bytes, kind: str) -> None:
        """Send any frame and count it."""
        self.sent[kind] += 1
        self.link.send(frame)

    def server_mac(self) -> bytes:
        """Return the server's MAC address, resolved by ARP once."""
        return self._server_mac or self._resolve(str(self._base))

    def receive(self, to: str, within_s: float = ANSWER_S) -> Datagram | Echo:
        """Return the next valid frame for us; answer ARP requests meanwhile."""
        deadline = time.monotonic() + min(within_s, ANSWER_S)
        while True:
            frame = self.link.receive(deadline - time.monotonic())
            if frame is None:
                raise HostError(f"no answer in {ANSWER_S:.0f} s to {to}")
            packet = self._parsed(frame)
            if not isinstance(packet, Arp):
                return packet
            self._answer_arp(packet)

    def _ask_window(self, questions: Sequence[tuple[bytes, str]]) -> list[list[bytes]]:
        answers: list[list[bytes]] = [[] for _ in questions]
        asked: dict[bytes, int] = {}
        sources = [self.address(source) for _, source in questions]
        main = self.address(str(_LOOPBACK))  # resolve now, while no answer is in flight
        for number, (datagram, _) in enumerate(questions):
            request_id = next(self._ids).to_bytes(2, "big")
            asked[request_id] = number
            numbered = (request_id + datagram[2:])[: len(datagram)]
            self.send(self.udp(sources[number], numbered), "udp")
        last = self._send_sentinel(main)
        deadline = time.monotonic() + WINDOW_S
        while (left_s := deadline - time.monotonic()) > 0:
            reply = self._datagram(_short(questions[0][0]), left_s)
            request_id = reply.payload[:2]
            if request_id == last:
                return answers
            if request_id not in asked:
                raise HostError(f"an answer without a request: {_short(reply.payload)}")
            number = asked[request_id]
            if reply.ends.target != sources[number]:
                raise HostError(f"an answer to {reply.ends.target}, not to {sources[number]}")
            answers[number].append(questions[number][0][:2] + reply.payload[2:])
            if len(answers[number]) > _DATAGRAMS_MAX:
                break
        raise HostError(f"no end of answers to {_short(questions[0][0])}")

    def _send_sentinel(self, source: str) -> bytes:
        """Send a request that is answered after all earlier ones; return its id."""
        request_id = next(self._ids).to_bytes(2, "big")
        self.sentinel_count += 1
        payload = request_id + struct.pack(">HHH", 0, 1, 0) + _VERSION
        self.send(self.udp(source, payload), "udp")
        return request_id

    def _datagram(self, to: str, within_s: float = ANSWER_S) -> Datagram:
        reply = self.receive(to, within_s)
        if not isinstance(reply, Datagram):
            raise HostError(f"{reply} instead of an answer to {to}")
        if (reply.source_port, reply.target_port) != (self.port, _SOURCE_PORT):
            raise HostError(f"from port {reply.source_port} to {reply.target_port}")
        if not reply.summed:
            raise HostError("an answer without UDP checksum to a request that had one")
        return reply

    def _parsed(self, frame: bytes) -> Arp | Datagram | Echo:
        packet = frames.parse(frame)
        if packet.ends.target_mac not in (self.mac, frames.BROADCAST):
            raise HostError(f"a frame to {packet.ends.target_mac.hex(':')}, which is not our MAC")
        if not isinstance(packet, Arp):
            if packet.ends.source_mac != self.server_mac() or packet.ends.source != self.server:
                raise HostError(f"a frame from {packet.ends.source}, which is not the server")
            if packet.ends.target not in self._mine:
                raise HostError(f"a frame to {packet.ends.target}, which is not our address")
        return packet

    def _answer_arp(self, packet: Arp) -> None:
        asker = packet.ends
        if packet.operation == frames.ARP_REQUEST and asker.target in self._mine:
            ends = Ends(self.mac, packet.sender_mac, asker.target, asker.source)
            self.send(frames.arp(ends, frames.ARP_REPLY), "arp")

    def _resolve(self, source: str) -> bytes:
        ends = Ends(self.mac, frames.BROADCAST, source, self.server)
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            self.send(frames.arp(ends, frames.ARP_REQUEST), "arp")
            again = time.monotonic() + _ARP_AGAIN_S
            while (frame := self.link.receive(again - time.monotonic())) is not None:
                packet = frames.parse(frame)
                if not isinstance(packet, Arp):
                    continue
                if packet.operation == frames.ARP_REPLY:
                    _check_arp_reply(packet, ends)
                    self._spoke[source] = time.monotonic()
                    self._server_mac = self._server_mac or packet.sender_mac
                    return packet.sender_mac
                self._answer_arp(packet)
        raise HostError(f"no answer to ARP for {self.server}")


def _check_arp_reply(packet: Arp, asked: Ends) -> None:
    """Check the reply against RFC 826: sent to the requester, by the address that was requested."""
    said = packet.ends
    if (said.source, said.target, said.target_mac) != (
        asked.target,
        asked.source,
        asked.source_mac,
    ):
        raise HostError(f"an ARP reply from {said.source} to {said.target}")
    if said.source_mac != packet.sender_mac:
        raise HostError("an ARP reply whose sender MAC differs from the Ethernet header's")


def _short(message: bytes) -> str:
    shown = repr(message[:60])[1:]
    return shown if len(message) <= 60 else f"{shown}... ({len(message)} bytes)"
