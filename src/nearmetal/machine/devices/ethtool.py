"""What a link does for the network stack, asked and switched by the kernel's first ethtool calls.

Each acts in the network namespace of the calling thread. Features are on or off; rings have so many
entries, and channels are queues with an interrupt each.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from typing import Literal, get_args

from nearmetal.samples import Frozen

Feature = Literal["rx_checksum", "tx_checksum", "sg", "tso", "gso", "gro", "lro"]
FEATURES: tuple[Feature, ...] = get_args(Feature)

_SIOCETHTOOL = 0x8946  # linux/sockios.h

# linux/ethtool.h: ETHTOOL_G* asks, ETHTOOL_S* sets.
_ASK: dict[Feature, int] = {
    "rx_checksum": 0x14,
    "tx_checksum": 0x16,
    "sg": 0x18,
    "tso": 0x1E,
    "gso": 0x23,
    "gro": 0x2B,
}
_ASK_FLAGS, _SET_FLAGS = 0x25, 0x26
_FLAG_LRO = 1 << 15
_ASK_RINGS, _SET_RINGS = 0x10, 0x11
_ASK_CHANNELS, _SET_CHANNELS = 0x3C, 0x3D
_NINE = struct.Struct(
    "9I"
)  # struct ethtool_ringparam and ethtool_channels: a command, eight values


class Rings(Frozen):
    """Entries of each receive and transmit queue."""

    rx: int
    tx: int


class Channels(Frozen):
    """Queues: of one direction, or of both; `other` are interrupts without one."""

    rx: int
    tx: int
    other: int
    combined: int

    @property
    def queues(self) -> int:
        """That frames may arrive at."""
        return self.rx + self.combined


class _Value(ctypes.Structure):
    """struct ethtool_value."""

    _fields_ = (("command", ctypes.c_uint32), ("data", ctypes.c_uint32))


class _Request(ctypes.Structure):
    """struct ifreq, with ifr_data."""

    _fields_ = (
        ("name", ctypes.c_char * 16),
        ("data", ctypes.POINTER(_Value)),
        ("rest", ctypes.c_char * 16),
    )


def has(iface: str, feature: Feature) -> bool:
    """Whether it is on. OSError: no such link, or it knows nothing of it."""
    if feature == "lro":
        return bool(_call(iface, _ASK_FLAGS, 0) & _FLAG_LRO)
    return bool(_call(iface, _ASK[feature], 0))


def switch(iface: str, feature: Feature, on: bool) -> None:
    """Switch it. OSError: the link cannot."""
    if feature == "lro":
        flags = _call(iface, _ASK_FLAGS, 0)
        _call(iface, _SET_FLAGS, flags | _FLAG_LRO if on else flags & ~_FLAG_LRO)
    else:
        _call(iface, _ASK[feature] + 1, int(on))


def rings(iface: str) -> Rings | None:
    """As they are; None: it has none that could be told."""
    found = _nine(iface, _ASK_RINGS)
    return Rings(rx=found[4], tx=found[7]) if found else None


def rings_max(iface: str) -> Rings | None:
    """As they may be."""
    found = _nine(iface, _ASK_RINGS)
    return Rings(rx=found[0], tx=found[3]) if found else None


def set_rings(iface: str, wanted: Rings) -> None:
    """OSError: it will not."""
    now = _nine(iface, _ASK_RINGS)
    assert now is not None
    exchange(iface, _NINE.pack(_SET_RINGS, *now[:4], wanted.rx, *now[5:7], wanted.tx))


def channels(iface: str) -> Channels | None:
    """As they are; None: it has none that could be told."""
    found = _nine(iface, _ASK_CHANNELS)
    if not found:
        return None
    rx, tx, other, combined = found[4:]
    return Channels(rx=rx, tx=tx, other=other, combined=combined)


def set_channels(iface: str, wanted: Channels) -> None:
    """OSError: it will not."""
    now = _nine(iface, _ASK_CHANNELS)
    assert now is not None
    values = (wanted.rx, wanted.tx, wanted.other, wanted.combined)
    exchange(iface, _NINE.pack(_SET_CHANNELS, *now[:4], *values))


def _nine(iface: str, command: int) -> tuple[int, ...] | None:
    """The eight values; None: the link does not tell."""
    try:
        answer = exchange(iface, _NINE.pack(command, *[0] * 8))
    except OSError:
        return None
    return _NINE.unpack(answer)[1:]


def exchange(iface: str, request: bytes) -> bytes:
    """One call, and what the kernel made of it. All of rings and channels go by here: tests have
    a NIC of their own."""
    buffer = ctypes.create_string_buffer(request, len(request))
    asked = struct.pack("16sP16x", iface.encode(), ctypes.addressof(buffer))  # struct ifreq
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCETHTOOL, asked)
    return buffer.raw


def _call(iface: str, command: int, data: int) -> int:
    value = _Value(command, data)
    request = _Request(iface.encode(), ctypes.pointer(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCETHTOOL, request)
    return int(value.data)
