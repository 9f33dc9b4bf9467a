"""What a link does for the network stack, switched on or off (ethtool's features)."""

from __future__ import annotations

import ctypes
import fcntl
import socket

from nearmetal.errors import NearmetalError
from nearmetal.lab.netns import End, inside

_SIOCETHTOOL = 0x8946  # linux/sockios.h
_ETHTOOL_STXCSUM = 0x17  # linux/ethtool.h
_ETHTOOL_SGRO = 0x2C


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


def gro_on(end: End) -> None:
    """Join what arrives, where a socket asks for it; a veth then also has NAPI."""
    _set(end, _ETHTOOL_SGRO, 1, "switch on GRO")


def tx_checksums_on_send(end: End) -> None:
    """Make checksums when sending. A veth otherwise leaves them to a NIC that never comes, and who
    reads the frames at its other end, past the stack, sees them unfinished."""
    _set(end, _ETHTOOL_STXCSUM, 0, "switch off transmit checksum offload")


def _set(end: End, command: int, value: int, what: str) -> None:
    request = _Request(end.iface.encode(), ctypes.pointer(_Value(command, value)))
    with inside(end.netns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        try:
            fcntl.ioctl(handle, _SIOCETHTOOL, request)
        except OSError as error:
            raise NearmetalError(f"cannot {what} of {end.iface}: {error}") from error
