"""Frames that are no request: each is dropped, counted under its reason, and has no answer.

The frames are built by scapy, so that our own frame code does not check itself. A missing answer is
detected without waiting: a question sent next is answered first, and shows that the server runs.
"""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from framed import PORT, SERVER, SERVER_MAC, Framed
from targets import FRAMED, OPEN, Tools, open_framed

from nearmetal.machine.links import frames
from nearmetal.machine.links.frame_host import ANSWER_S
from nearmetal.machine.links.frames import Datagram

scapy = pytest.importorskip("scapy.all")

OURS, OUR_MAC = "10.0.0.1", "02:00:00:00:01:01"
OTHER, OTHER_MAC = "10.0.0.7", "02:00:00:00:00:07"
GET = b"\0\1\0\0\0\1\0\0get a\r\n"
MISS = b"\0\1\0\0\0\1\0\0END\r\n"

Make = Callable[[], Any]


def ether(**fields: Any) -> Any:
    return scapy.Ether(**{"src": OUR_MAC, "dst": SERVER_MAC, **fields})


def ip(**fields: Any) -> Any:
    return ether() / scapy.IP(**{"src": OURS, "dst": SERVER, **fields})


def udp(payload: bytes = GET, /, **fields: Any) -> Any:
    return scapy.UDP(**{"sport": 4000, "dport": PORT, **fields}) / scapy.Raw(payload)


def arp(**fields: Any) -> Any:
    sender = {"hwsrc": OUR_MAC, "psrc": OURS, "pdst": SERVER, "op": 1}
    return ether(dst="ff:ff:ff:ff:ff:ff") / scapy.ARP(**{**sender, **fields})


def icmp(payload: bytes = b"ping", /, **fields: Any) -> Any:
    return ip() / scapy.ICMP(**{"type": 8, "id": 7, "seq": 1, **fields}) / scapy.Raw(payload)


def cut(packet: Any, size: int) -> Any:
    return scapy.Raw(bytes(packet)[:size])


def fragments(at: int) -> Any:
    return scapy.fragment(ip() / udp(GET + b"x" * 1000), 400)[at]


def typed(ethertype: int) -> Any:
    return ether(type=ethertype) / scapy.Raw(bytes((ip() / udp()).payload))


BAD: dict[str, tuple[str, Make]] = {
    "ip-version-0": ("ip", lambda: ip(version=0) / udp()),
    "ip-version-6": ("ip", lambda: ip(version=6) / udp()),
    "ip-header-of-16-bytes": ("ip", lambda: ip(ihl=4) / udp()),
    "ip-header-of-0-bytes": ("ip", lambda: ip(ihl=0) / udp()),
    "ip-header-past-the-frame": ("ip", lambda: cut(ip(ihl=15) / udp(), 60)),
    "ip-length-past-the-frame": ("ip", lambda: ip(len=1000) / udp()),
    "ip-length-1-past-the-frame": ("ip", lambda: ip(len=20 + 8 + len(GET) + 1) / udp()),
    "ip-length-shorter-than-its-header": ("ip", lambda: ip(len=19) / udp()),
    "ip-length-0": ("ip", lambda: ip(len=0) / udp()),
    "ip-checksum-wrong": ("ip", lambda: ip(chksum=0x1234) / udp()),
    "ip-checksum-0": ("ip", lambda: ip(chksum=0) / udp()),
    "ip-ttl-0": ("ip", lambda: ip(ttl=0) / udp()),
    "ip-options": ("ip", lambda: ip(options=[scapy.IPOption_NOP()] * 4) / udp()),
    "ip-source-route": ("ip", lambda: ip(options=[scapy.IPOption_LSRR(routers=[OTHER])]) / udp()),
    "fragment-first": ("fragment", lambda: fragments(0)),
    "fragment-middle": ("fragment", lambda: fragments(1)),
    "fragment-last": ("fragment", lambda: fragments(-1)),
    "fragment-whole-but-more-to-come": ("fragment", lambda: ip(flags="MF") / udp()),
    "from-our-own-address": ("addr", lambda: ip(src=SERVER) / udp()),
    "from-broadcast": ("addr", lambda: ip(src="255.255.255.255") / udp()),
    "from-multicast": ("addr", lambda: ip(src="224.0.0.1") / udp()),
    "from-class-e": ("addr", lambda: ip(src="240.0.0.1") / udp()),
    "from-address-zero": ("addr", lambda: ip(src="0.0.0.0") / udp()),
    "from-loopback": ("addr", lambda: ip(src="127.0.0.1") / udp()),
    "to-another-address": ("addr", lambda: ip(dst=OTHER) / udp()),
    "to-ip-broadcast": ("addr", lambda: ip(dst="255.255.255.255") / udp()),
    "to-ip-multicast": ("addr", lambda: ip(dst="224.0.0.1") / udp()),
    "udp-header-cut": ("udp", lambda: cut(ip(len=24) / udp(), 14 + 24)),
    "udp-length-7": ("udp", lambda: ip() / udp(len=7)),
    "udp-length-0": ("udp", lambda: ip() / udp(len=0)),
    "udp-length-past-ip": ("udp", lambda: ip() / udp(len=8 + len(GET) + 1)),
    "udp-length-65535": ("udp", lambda: ip() / udp(len=65_535)),
    "udp-length-short-of-ip": ("udp", lambda: ip() / udp(len=8 + len(GET) - 1)),
    "udp-checksum-wrong": ("udp", lambda: ip() / udp(chksum=0x1234)),
    "udp-from-port-0": ("port", lambda: ip() / udp(sport=0)),
    "udp-to-port-0": ("port", lambda: ip() / udp(dport=0)),
    "udp-to-another-port": ("port", lambda: ip() / udp(dport=PORT + 1)),
    "vlan": (
        "ethertype",
        lambda: ether() / scapy.Dot1Q(vlan=5) / scapy.IP(src=OURS, dst=SERVER) / udp(),
    ),
    "ipv6": ("ethertype", lambda: ether() / scapy.IPv6(src="fe80::1", dst="fe80::2") / udp()),
    "ethertype-0": ("ethertype", lambda: typed(0)),
    "802.3-length": ("ethertype", lambda: typed(46)),
    "runt-of-14-bytes": ("frame", lambda: cut(ip() / udp(), 14)),
    "runt-of-33-bytes": ("frame", lambda: cut(ip() / udp(), 33)),
    "runt-without-udp": ("ip", lambda: cut(ip() / udp(), 34)),
    "to-another-mac": ("mac", lambda: ether(dst=OTHER_MAC) / (ip() / udp()).payload),
    "to-broadcast-mac": ("mac", lambda: ether(dst="ff:ff:ff:ff:ff:ff") / (ip() / udp()).payload),
    "to-multicast-mac": ("mac", lambda: ether(dst="01:00:5e:00:00:01") / (ip() / udp()).payload),
    "from-multicast-mac": ("mac", lambda: ether(src="03:00:00:00:00:01") / (ip() / udp()).payload),
    "arp-short": ("frame", lambda: cut(arp(), 14 + 27)),
    "arp-of-nothing": ("frame", lambda: cut(arp(), 14)),
    "arp-hardware-address-of-8": ("arp", lambda: arp(hwlen=8)),
    "arp-protocol-address-of-16": ("arp", lambda: arp(plen=16)),
    "arp-another-hardware": ("arp", lambda: arp(hwtype=6)),
    "arp-another-protocol": ("arp", lambda: arp(ptype=0x86DD)),
    "arp-for-another": ("arp", lambda: arp(pdst=OTHER)),
    "arp-spoofed-address": ("arp", lambda: arp(psrc=SERVER)),
    "arp-spoofed-mac": ("arp", lambda: arp(hwsrc=SERVER_MAC)),
    "arp-multicast-sender": ("arp", lambda: arp(hwsrc="03:00:00:00:00:01")),
    "arp-gratuitous": ("arp", lambda: arp(psrc=OTHER, pdst=OTHER)),
    "arp-unasked-reply": ("arp", lambda: arp(op=2, hwdst=SERVER_MAC)),
    "arp-operation-3": ("arp", lambda: arp(op=3)),
    "icmp-echo-reply": ("icmp", lambda: icmp(type=0)),
    "icmp-unreachable": ("icmp", lambda: icmp(type=3, code=3)),
    "icmp-code-1": ("icmp", lambda: icmp(code=1)),
    "icmp-checksum-wrong": ("icmp", lambda: icmp(chksum=0x1234)),
    "icmp-of-4-bytes": (
        "icmp",
        lambda: cut(ip(len=24, proto=1) / scapy.Raw(b"\x08\0\xf7\xff"), 38),
    ),
    "tcp": ("protocol", lambda: ip() / scapy.TCP(dport=PORT, flags="S")),
    "protocol-255": ("protocol", lambda: ip(proto=255) / scapy.Raw(b"x" * 20)),
}


# Reasons that a frame for the server's address and port may have, and others do not.
LED = ("udp",)


@pytest.fixture(
    scope="module", params=[pytest.param(rung, marks=pytest.mark.rung(rung)) for rung in FRAMED]
)
def target(
    request: pytest.FixtureRequest,
    programs: Callable[[str], Path],
    third_party: Callable[[str], list[str]],
) -> Iterator[Framed]:
    framed = open_framed(request.param, Tools(programs, third_party), OPEN, "kv")
    assert isinstance(framed, Framed)
    yield framed
    framed.close()


@pytest.mark.parametrize("name", BAD)
def test_dropped_counted_and_silent(name: str, target: Framed) -> None:
    """An interface's frames that are not for the server stay the kernel's: it sees nothing."""
    drop, make = BAD[name]
    before = target.counted()
    assert drawn(target, bytes(make())) == []
    seen = target.counted() - before
    assert target.rung.uses is not None
    kept = target.rung.uses.at_interface and (drop not in LED or name == "udp-header-cut")
    assert seen in (Counter({drop: 1, "answered": 1}), *([Counter(answered=1)] if kept else []))


@pytest.mark.parametrize(
    ("make", "answers"),
    [
        (lambda: ip() / udp(), 1),
        (lambda: ip() / udp() / scapy.Padding(b"\0" * 30), 1),
        (lambda: ip(ttl=1, tos=0xFF, id=0xFFFF, flags="DF") / udp(), 1),
        (lambda: ip() / udp(b"\0\1\0\0\0\1\0\0get b c d e f\r\n"), 1),
        (lambda: ip(src="10.255.255.254") / udp(sport=65_535), 1),
    ],
    ids=["unpadded", "padded", "last-hop", "odd", "far"],
)
def test_a_good_one_is_answered(make: Make, answers: int, target: Framed) -> None:
    """The reply has addresses and ports swapped, its own TTL, and right checksums."""
    asked = make()
    (frame,) = drawn(target, bytes(asked))
    reply = scapy.Ether(frame)
    assert (reply.src, reply.dst) == (SERVER_MAC, OUR_MAC)
    assert (reply[scapy.IP].src, reply[scapy.IP].dst) == (SERVER, asked[scapy.IP].src)
    assert (reply[scapy.UDP].sport, reply[scapy.UDP].dport) == (PORT, asked[scapy.UDP].sport)
    assert bytes(reply[scapy.UDP].payload) == MISS
    assert reply[scapy.IP].ttl == 64
    assert len(frame) == 14 + reply[scapy.IP].len
    assert reply[scapy.UDP].chksum != 0
    assert summed(reply) == frame


def test_no_checksum_is_fine(target: Framed) -> None:
    """RFC 768: a checksum of 0 means none; then the reply needs none either."""
    (frame,) = drawn(target, bytes(ip() / udp(chksum=0)))
    reply = scapy.Ether(frame)
    assert bytes(reply[scapy.UDP].payload) == MISS
    assert reply[scapy.UDP].chksum == 0 or summed(reply) == frame


@pytest.mark.parametrize("to", ["ff:ff:ff:ff:ff:ff", SERVER_MAC])
@pytest.mark.parametrize("sender", [OURS, "0.0.0.0"], ids=["asked", "probed"])
def test_arp_is_answered(to: str, sender: str, target: Framed) -> None:
    (frame,) = drawn(target, bytes(ether(dst=to) / arp(psrc=sender).payload))
    reply = scapy.Ether(frame)
    assert (reply.src, reply.dst) == (SERVER_MAC, OUR_MAC)
    said = reply[scapy.ARP]
    assert (said.op, said.hwsrc, said.psrc) == (2, SERVER_MAC, SERVER)
    assert (said.hwdst, said.pdst) == (OUR_MAC, sender)


@pytest.mark.parametrize("size", [0, 1, 56, 1472])
def test_echo_is_answered(size: int, target: Framed) -> None:
    assert target.rung.uses is not None
    if target.rung.uses.at_interface:
        pytest.skip("an interface's pings stay the kernel's")
    payload = bytes(i % 251 for i in range(size))
    before = target.counted()
    (frame,) = drawn(target, bytes(icmp(payload)))
    assert target.counted() - before == Counter({"icmp": 1, "answered": 1})
    reply = scapy.Ether(frame)
    assert (reply[scapy.ICMP].type, reply[scapy.ICMP].id, reply[scapy.ICMP].seq) == (0, 7, 1)
    assert bytes(reply[scapy.ICMP].payload) == payload
    assert (reply[scapy.IP].src, reply[scapy.IP].dst) == (SERVER, OURS)
    assert reply[scapy.IP].ttl == 64
    assert summed(reply) == frame


def summed(packet: Any) -> bytes:
    """Return the packet with all checksums calculated again."""
    for layer in (scapy.IP, scapy.UDP, scapy.ICMP):
        if layer in packet:
            del packet[layer].chksum
    return bytes(packet)


_ids = itertools.cycle(range(0x8000, 0x10000))


def drawn(target: Framed, frame: bytes) -> list[bytes]:
    """Send a frame and a question; return all frames that arrive before the question's answer."""
    host = target.host
    last = next(_ids)
    question = struct.pack(">HHHH", last, 0, 1, 0) + b"version\r\n"
    host.send(frame, "other")
    host.send(bytes(ip() / udp(question)), "udp")
    found: list[bytes] = []
    while True:
        came = host.link.receive(ANSWER_S)
        assert came is not None, f"no answer to a valid question; received before it: {found}"
        packet = frames.parse(came)
        if isinstance(packet, Datagram) and packet.payload[:2] == last.to_bytes(2, "big"):
            return found
        found.append(came)
