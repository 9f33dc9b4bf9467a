"""Admission: what a source address may do. One step of the service, the same in every rung.

Three lists of networks (docs/service.md): `allow` is answered at all, `admin` may use stats,
flush_all and verbosity, `trusted` may draw replies longer than three times its request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from nearmetal.errors import BadInputError

Network = IPv4Network | IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1/128")
# Sources whose rights are kept at hand; a flood from more of them only costs the look-up.
SOURCES_REMEMBERED = 4096


class Rights(NamedTuple):
    """What one source may do."""

    allowed: bool
    admin: bool
    trusted: bool


EVERYTHING = Rights(allowed=True, admin=True, trusted=True)


def admission(
    allow: Sequence[str] = LOOPBACK,
    admin: Sequence[str] = LOOPBACK,
    trusted: Sequence[str] | None = None,
) -> Callable[[str], Rights]:
    """The function from a source's address to its rights; trusted None: as allow."""
    allowing = [network("allow", text) for text in allow]
    admitting = [network("admin", text) for text in admin]
    trusting = allowing if trusted is None else [network("trusted", text) for text in trusted]

    @lru_cache(maxsize=SOURCES_REMEMBERED)
    def rights(source: str) -> Rights:
        return Rights(
            _within(source, allowing), _within(source, admitting), _within(source, trusting)
        )

    return rights


def network(option: str, text: str) -> Network:
    """ADDR/BITS, or an address alone. Host bits may be set, as in the native programs."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise BadInputError(
            f"--{option} {text}: not a network; give ADDR/BITS, as 10.0.0.0/8 or ::1/128"
        ) from None


def _within(source: str, networks: Sequence[Network]) -> bool:
    address = ip_address(source.partition("%")[0])  # fe80::1%eth0 names its interface
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # a [::] socket shows IPv4 sources so
    return any(address in one for one in networks)
