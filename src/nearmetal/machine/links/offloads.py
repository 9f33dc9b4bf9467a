"""Offloads at one end of our wires, switched on or off."""

from __future__ import annotations

from nearmetal.errors import NearmetalError
from nearmetal.machine.devices import ethtool
from nearmetal.machine.links.netns import End, inside


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


def _switch(end: End, feature: ethtool.Feature, on: bool, what: str) -> None:
    with inside(end.netns):
        try:
            ethtool.switch(end.iface, feature, on)
        except OSError as error:
            raise NearmetalError(f"cannot {what} of {end.iface}: {error}") from error
