"""Frames: built and parsed to the same packet, equal to scapy's, and any damage is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearmetal.machine.links import frames
from nearmetal.machine.links.frames import Arp, Datagram, Echo, Ends, FrameError

scapy = pytest.importorskip("scapy.all")

ENDS = Ends(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", "10.0.0.1", "10.0.0.2")


@given(st.binary(max_size=frames.UDP_BYTES_MAX))
def test_a_datagram_comes_back(payload: bytes) -> None:
    packet = frames.parse(frames.udp(ENDS, 1, 65_535, payload))
    assert packet == Datagram(ENDS, 1, 65_535, payload, summed=True)


@given(st.binary(max_size=1000))
def test_an_echo_comes_back(payload: bytes) -> None:
    packet = frames.parse(frames.echo(ENDS, frames.ECHO_REQUEST, 3, 4, payload))
    assert packet == Echo(ENDS, frames.ECHO_REQUEST, 3, 4, payload)


def test_arp_comes_back() -> None:
    packet = frames.parse(frames.arp(ENDS, frames.ARP_REPLY) + bytes(18))  # padded
    assert packet == Arp(ENDS, frames.ARP_REPLY, ENDS.source_mac)


@given(st.binary(max_size=300), st.integers(0, 65_535), st.integers(1, 65_535))
def test_scapy_builds_the_same(payload: bytes, source_port: int, target_port: int) -> None:
    theirs = (
        scapy.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / scapy.IP(src="10.0.0.1", dst="10.0.0.2", flags="DF", id=0)
        / scapy.UDP(sport=source_port, dport=target_port)
        / scapy.Raw(payload)
    )
    assert frames.udp(ENDS, source_port, target_port, payload) == bytes(theirs)


def test_a_sum_of_zero_is_sent_as_ffff() -> None:
    """RFC 768: a checksum field of 0 means no checksum."""
    found = {frames.udp(ENDS, port, 2, b"")[40:42] for port in range(65_536)}
    assert b"\xff\xff" in found and b"\0\0" not in found


@given(st.data())
def test_a_flipped_bit_is_found(data: st.DataObject) -> None:
    """Bits behind the MAC addresses, which only Ethernet's own checksum covers."""
    good = frames.udp(ENDS, 1000, 2000, b"hello")
    at = data.draw(st.integers(12 * 8, len(good) * 8 - 1))
    bad = bytearray(good)
    bad[at // 8] ^= 1 << at % 8
    with pytest.raises(FrameError):
        frames.parse(bytes(bad))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_packet_or_an_error(frame: bytes) -> None:
    for made in (frame, ENDS.target_mac + ENDS.source_mac + b"\x08\x00" + frame):
        try:
            frames.parse(made)
        except FrameError as error:
            assert str(error)
