"""Features, rings and channels of a link, read and set with ethtool's ioctl calls.

All calls act in the network namespace of the calling thread. A feature is on or off; a ring has a
number of entries; a channel is a queue with its own interrupt.

Features with an ioctl call of their own are `Feature`. All features have a name, which `ethtool -k`
prints; pyroute2 finds their numbers.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Literal, get_args

from pyroute2.ethtool.ioctl import EthtoolError, IoctlEthtool

from nearmetal.samples import Frozen

Feature = Literal["rx_checksum", "tx_checksum", "sg", "tso", "gso", "gro", "lro"]
FEATURES: tuple[Feature, ...] = get_args(Feature)

_SIOCETHTOOL = 0x8946  # linux/sockios.h

# linux/ethtool.h: ETHTOOL_G* reads, ETHTOOL_S* sets.
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
    """Number of entries of each receive and transmit queue."""

    rx: int
    tx: int


class Channels(Frozen):
    """Number of queues for one direction or both; `other` are interrupts without a queue."""

    rx: int
    tx: int
    other: int
    combined: int

    @property
    def queues(self) -> int:
        """Number of queues that can receive frames."""
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
    """Whether the feature is on. OSError: no such link, or the link does not have the feature."""
    if feature == "lro":
        return bool(_call(iface, _ASK_FLAGS, 0) & _FLAG_LRO)
    return bool(_call(iface, _ASK[feature], 0))


def switch(iface: str, feature: Feature, on: bool) -> None:
    """Switch the feature on or off. OSError: the link does not allow it."""
    if feature == "lro":
        flags = _call(iface, _ASK_FLAGS, 0)
        _call(iface, _SET_FLAGS, flags | _FLAG_LRO if on else flags & ~_FLAG_LRO)
    else:
        _call(iface, _ASK[feature] + 1, int(on))


def has_named(iface: str, name: str) -> bool:
    """Whether the feature of this name is on. OSError: no such link, or no such feature."""
    with _named(iface, name) as (_, features):
        return bool(features[name])


def switch_named(iface: str, name: str, on: bool) -> None:
    """Switch the feature of this name on or off; OSError as above.

    The kernel ignores features that the link cannot change: read the feature again.
    """
    with _named(iface, name) as (calls, features):
        features[name] = on
        calls.set_features(features)


@contextmanager
def _named(iface: str, name: str) -> Iterator[tuple[Any, Any]]:
    """Read all features of a link; one of them has this name."""
    try:
        with closing(IoctlEthtool(iface)) as calls:
            features = calls.get_features()
            if name not in features:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            yield calls, features
    except EthtoolError as error:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from error


def rings(iface: str) -> Rings | None:
    """Return the present sizes of the rings, or None if the link reports none."""
    found = _nine(iface, _ASK_RINGS)
    return Rings(rx=found[4], tx=found[7]) if found else None


def rings_max(iface: str) -> Rings | None:
    """Return the largest sizes of the rings, or None if the link reports none."""
    found = _nine(iface, _ASK_RINGS)
    return Rings(rx=found[0], tx=found[3]) if found else None


def set_rings(iface: str, wanted: Rings) -> None:
    """Set the sizes of the rings. OSError: the link does not allow it."""
    now = _nine(iface, _ASK_RINGS)
    assert now is not None
    exchange(iface, _NINE.pack(_SET_RINGS, *now[:4], wanted.rx, *now[5:7], wanted.tx))


def channels(iface: str) -> Channels | None:
    """Return the present numbers of channels, or None if the link reports none."""
    found = _nine(iface, _ASK_CHANNELS)
    if not found:
        return None
    rx, tx, other, combined = found[4:]
    return Channels(rx=rx, tx=tx, other=other, combined=combined)


def set_channels(iface: str, wanted: Channels) -> None:
    """Set the numbers of channels. OSError: the link does not allow it."""
    now = _nine(iface, _ASK_CHANNELS)
    assert now is not None
    values = (wanted.rx, wanted.tx, wanted.other, wanted.combined)
    exchange(iface, _NINE.pack(_SET_CHANNELS, *now[:4], *values))


def _nine(iface: str, command: int) -> tuple[int, ...] | None:
    """Return the eight values that follow the command, or None if the link does not report them."""
    try:
        answer = exchange(iface, _NINE.pack(command, *[0] * 8))
    except OSError:
        return None
    return _NINE.unpack(answer)[1:]


def exchange(iface: str, request: bytes) -> bytes:
    """Make one ioctl call and return the request as the kernel changed it.

    All calls for rings and channels use this function, so that tests can replace the NIC.
    """
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
