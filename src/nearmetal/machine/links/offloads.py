"""What an end of a wire of ours does for the network stack, switched on or off."""

from __future__ import annotations

from nearmetal.errors import NearmetalError
from nearmetal.machine.devices import ethtool
from nearmetal.machine.links.netns import End, inside


def gro_on(end: End) -> None:
    """Join what arrives, where a socket asks for it; a veth then also has NAPI."""
    _switch(end, "gro", True, "switch on GRO")


def tx_checksums_on_send(end: End) -> None:
    """Make checksums when sending. A veth otherwise leaves them to a NIC that never comes, and who
    reads the frames at its other end, past the stack, sees them unfinished."""
    _switch(end, "tx_checksum", False, "switch off transmit checksum offload")


def _switch(end: End, feature: ethtool.Feature, on: bool, what: str) -> None:
    with inside(end.netns):
        try:
            ethtool.switch(end.iface, feature, on)
        except OSError as error:
            raise NearmetalError(f"cannot {what} of {end.iface}: {error}") from error
