"""Whole frames, built and parsed: Ethernet with ARP, or with IPv4 and UDP or ICMP echo.

Used by programs that talk to a frame datapath without a kernel's stack (frame_host.py, tests).
Frames are built with real checksums. A frame that is parsed is checked completely, and an error
says in words what is wrong with the frame.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from nearmetal.errors import NearmetalError

FRAME_BYTES_MAX = 1514  # 1,500 bytes of IP behind the Ethernet header
UDP_BYTES_MAX = 1472  # largest payload of a datagram that fits one frame
# Locally administered addresses (IEEE 802c) for the ends of our wires.
SUT_MAC, TG_MAC, BEHIND_SWITCH_MAC = (f"02:00:00:00:00:{number:02x}" for number in (1, 2, 3))
BROADCAST = b"\xff" * 6

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ARP_REQUEST, ARP_REPLY = 1, 2
PROTOCOL_ICMP, PROTOCOL_UDP = 1, 17
ECHO_REPLY, ECHO_REQUEST = 0, 8

_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826
_IPV4 = struct.Struct("!BBHHHBBH4s4s")  # RFC 791, 3.1
_UDP = struct.Struct("!HHHH")  # RFC 768
_ICMP = struct.Struct("!BBHHH")  # RFC 792
_ARP_IPV4 = (1, ETHERTYPE_IPV4, 6, 4)  # Ethernet, IPv4, and the lengths of their addresses
_TTL = 64
_DONT_FRAGMENT = 0x4000


class FrameError(NearmetalError):
    """A frame is not valid."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Source and target of a frame."""

    source_mac: bytes
    target_mac: bytes
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet of IPv4 over Ethernet."""

    ends: Ends  # with the MAC addresses of the Ethernet header
    operation: int
    sender_mac: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """A UDP datagram."""

    ends: Ends
    source_port: int
    target_port: int
    payload: bytes
    summed: bool  # whether it carried a checksum


@dataclass(frozen=True, slots=True)
class Echo:
    """An ICMP echo request or reply."""

    ends: Ends
    kind: int
    identifier: int
    sequence: int
    payload: bytes


def checksum(data: bytes) -> int:
    """Return the ones' complement of the ones' complement sum of 16-bit words (RFC 1071)."""
    padded = data + b"\0" if len(data) % 2 else data
    # Adding with end-around carry is arithmetic modulo 2^16 - 1, in which a non-zero sum of 0 is
    # written 0xffff.
    value = int.from_bytes(padded, "big")
    return 0xFFFF - (value % 0xFFFF or (0xFFFF if value else 0))


def arp(ends: Ends, operation: int) -> bytes:
    """Build an ARP packet; the sender's MAC is that of the Ethernet header."""
    asked = bytes(6) if operation == ARP_REQUEST else ends.target_mac
    body = _ARP.pack(
        *_ARP_IPV4, operation, ends.source_mac, _packed(ends.source), asked, _packed(ends.target)
    )
    return _ETHERNET.pack(ends.target_mac, ends.source_mac, ETHERTYPE_ARP) + body


def ipv4(ends: Ends, protocol: int, body: bytes, *, identification: int = 0) -> bytes:
    """Build an IPv4 packet without options, marked "don't fragment"."""
    source, target = _packed(ends.source), _packed(ends.target)
    rest = (0x45, 0, _IPV4.size + len(body), identification, _DONT_FRAGMENT, _TTL, protocol)
    total = checksum(_IPV4.pack(*rest, 0, source, target))
    header = _IPV4.pack(*rest, total, source, target)
    return _ETHERNET.pack(ends.target_mac, ends.source_mac, ETHERTYPE_IPV4) + header + body


def udp(ends: Ends, source_port: int, target_port: int, payload: bytes) -> bytes:
    """Build a UDP datagram."""
    length = _UDP.size + len(payload)
    header = _UDP.pack(source_port, target_port, length, 0)
    pseudo = _pseudo_header(_packed(ends.source), _packed(ends.target), length)
    total = checksum(pseudo + header + payload) or 0xFFFF  # 0 would mean "no checksum"
    header = _UDP.pack(source_port, target_port, length, total)
    return ipv4(ends, PROTOCOL_UDP, header + payload)


def echo(ends: Ends, kind: int, identifier: int, sequence: int, payload: bytes) -> bytes:
    """Build an ICMP echo request or reply."""
    total = checksum(_ICMP.pack(kind, 0, 0, identifier, sequence) + payload)
    return ipv4(ends, PROTOCOL_ICMP, _ICMP.pack(kind, 0, total, identifier, sequence) + payload)


def parse(frame: bytes) -> Arp | Datagram | Echo:
    """Return the content of a frame. FrameError: what is wrong with the frame."""
    if len(frame) < _ETHERNET.size:
        raise FrameError(f"{len(frame)} bytes are too few for an Ethernet frame")
    if len(frame) > FRAME_BYTES_MAX:
        raise FrameError(f"a frame of {len(frame)} bytes, more than {FRAME_BYTES_MAX}")
    target_mac, source_mac, ethertype = _ETHERNET.unpack_from(frame)
    body = frame[_ETHERNET.size :]
    if ethertype == ETHERTYPE_ARP:
        return _parse_arp(source_mac, target_mac, body)
    if ethertype == ETHERTYPE_IPV4:
        return _parse_ipv4(source_mac, target_mac, body)
    raise FrameError(f"ethertype {ethertype:#06x}")


def _parse_arp(source_mac: bytes, target_mac: bytes, body: bytes) -> Arp:
    if len(body) < _ARP.size:
        raise FrameError(f"an ARP packet of {len(body)} bytes")
    *kinds, operation, sender_mac, sender, _, asked = _ARP.unpack_from(body)
    if tuple(kinds) != _ARP_IPV4:
        raise FrameError(f"an ARP packet of another kind: {kinds}")
    ends = Ends(source_mac, target_mac, str(IPv4Address(sender)), str(IPv4Address(asked)))
    return Arp(ends, operation, sender_mac)


def _parse_ipv4(source_mac: bytes, target_mac: bytes, body: bytes) -> Datagram | Echo:
    if len(body) < _IPV4.size:
        raise FrameError(f"an IPv4 packet of {len(body)} bytes")
    version, _, total_bytes, _, fragment, ttl, protocol, _, source, target = _IPV4.unpack_from(body)
    if version != 0x45:
        raise FrameError(f"IPv4 version and header length {version:#04x}")
    if not _IPV4.size <= total_bytes <= len(body):
        raise FrameError(f"IPv4 length {total_bytes}, but {len(body)} bytes")
    if checksum(body[: _IPV4.size]) != 0:
        raise FrameError("the IPv4 header's checksum is wrong")
    if fragment & ~_DONT_FRAGMENT:
        raise FrameError("an IPv4 fragment")
    if ttl == 0:
        raise FrameError("a TTL of 0")
    ends = Ends(source_mac, target_mac, str(IPv4Address(source)), str(IPv4Address(target)))
    inner = body[_IPV4.size : total_bytes]
    if protocol == PROTOCOL_UDP:
        return _parse_udp(ends, inner, _pseudo_header(source, target, len(inner)))
    if protocol == PROTOCOL_ICMP:
        return _parse_icmp(ends, inner)
    raise FrameError(f"IPv4 protocol {protocol}")


def _parse_udp(ends: Ends, body: bytes, pseudo: bytes) -> Datagram:
    if len(body) < _UDP.size:
        raise FrameError(f"a UDP datagram of {len(body)} bytes")
    source_port, target_port, length, total = _UDP.unpack_from(body)
    if length != len(body):
        raise FrameError(f"UDP length {length}, but {len(body)} bytes in IPv4")
    if total and checksum(pseudo + body) != 0:
        raise FrameError("the UDP checksum is wrong")
    return Datagram(ends, source_port, target_port, body[_UDP.size :], summed=total != 0)


def _parse_icmp(ends: Ends, body: bytes) -> Echo:
    if len(body) < _ICMP.size:
        raise FrameError(f"an ICMP message of {len(body)} bytes")
    kind, code, _, identifier, sequence = _ICMP.unpack_from(body)
    if checksum(body) != 0:
        raise FrameError("the ICMP checksum is wrong")
    if kind not in (ECHO_REPLY, ECHO_REQUEST) or code != 0:
        raise FrameError(f"ICMP type {kind}, code {code}")
    return Echo(ends, kind, identifier, sequence, body[_ICMP.size :])


def _pseudo_header(source: bytes, target: bytes, length: int) -> bytes:
    """Return the bytes that the UDP checksum covers besides the datagram (RFC 768)."""
    return source + target + struct.pack("!BBH", 0, PROTOCOL_UDP, length)


def _packed(address: str) -> bytes:
    return IPv4Address(address).packed
