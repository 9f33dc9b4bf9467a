"""Offloads at one end of our wires, switched on or off."""

from __future__ import annotations

import socket

from nearmetal.errors import NearmetalError
from nearmetal.machine.devices import ethtool
from nearmetal.machine.links.netns import End, inside

_UDP_SEGMENTATION = "tx-udp-segmentation"
_SOL_UDP, _UDP_SEGMENT = 17, 103  # linux/udp.h


def gro_on(end: End) -> None:
    """Switch on GRO: merge datagrams if a socket requests it; a veth then also gets NAPI."""
    _switch(end, "gro", True, "switch on GRO")


def to_napi(peer: End) -> None:
    """Let a veth's receive processing run in NAPI for every packet that its peer sends.

    Where GRO alone gave the receiving end NAPI, the kernel uses it only for packets that GRO may
    merge: not for those of a peer that sends long TCP segments whole (Linux drivers/net/veth.c,
    veth_skb_is_eligible_for_gro). Others are received on the sender's core.
    """
    _switch(peer, "tso", False, "switch off TCP segmentation offload")


def tx_checksums_on_send(end: End) -> None:
    """Let the kernel compute checksums before sending.

    A veth otherwise leaves the checksum to a NIC that the frame never reaches, and a program that
    reads frames past the kernel's stack at the other end sees it unfinished.
    """
    _switch(end, "tx_checksum", False, "switch off transmit checksum offload")


def uncut(end: End) -> str:
    """Let the kernel cut joined datagrams (UDP_SEGMENT) before it sends them from this end.

    A veth otherwise hands them to its peer in one piece, and the peer's stack would see one packet
    instead of several. Return why it does not cut them, in words, or "" if it does.
    """
    try:
        with inside(end.netns):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.getsockopt(_SOL_UDP, _UDP_SEGMENT)
            ethtool.switch_named(end.iface, _UDP_SEGMENTATION, False)
            still_on = ethtool.has_named(end.iface, _UDP_SEGMENTATION)
    except OSError as error:
        return f"{_UDP_SEGMENTATION} cannot be switched off here ({error.strerror or error})"
    return f"{_UDP_SEGMENTATION} stays on here" if still_on else ""


def _switch(end: End, feature: ethtool.Feature, on: bool, what: str) -> None:
    with inside(end.netns):
        try:
            ethtool.switch(end.iface, feature, on)
        except OSError as error:
            raise NearmetalError(f"cannot {what} of {end.iface}: {error}") from error
