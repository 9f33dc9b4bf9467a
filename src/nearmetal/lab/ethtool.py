"""What a link does for the network stack, asked and switched by the kernel's first ethtool calls.

Each acts in the network namespace of the calling thread.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
from typing import Literal, get_args

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


def _call(iface: str, command: int, data: int) -> int:
    value = _Value(command, data)
    request = _Request(iface.encode(), ctypes.pointer(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, _SIOCETHTOOL, request)
    return int(value.data)
