"""Admission: the rights of a source address, the same in every rung.

Three lists of networks (docs/service.md) give them. `allow`: requests are answered at all. `admin`:
stats, flush_all and verbosity are permitted. `trusted`: a reply may be longer than three times its
request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from nearmetal.errors import BadInputError

Network = IPv4Network | IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1/128")
# Sources whose rights are cached; a flood from more sources only costs computing them again.
SOURCES_REMEMBERED = 4096


class Rights(NamedTuple):
    """Rights of one source."""

    allowed: bool
    admin: bool
    trusted: bool


EVERYTHING = Rights(allowed=True, admin=True, trusted=True)


def admission(
    allow: Sequence[str] = LOOPBACK,
    admin: Sequence[str] = LOOPBACK,
    trusted: Sequence[str] | None = None,
) -> Callable[[str], Rights]:
    """Return a function from a source's address to its rights.

    trusted None: the networks of allow. BadInputError: a text is not a network.
    """
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
    """Parse ADDR/BITS or an address alone; host bits may be set, as in the native programs.

    BadInputError: the text is not a network; the message names the option.
    """
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise BadInputError(
            f"--{option} {text}: not a network; give ADDR/BITS, as 10.0.0.0/8 or ::1/128"
        ) from None


def _within(source: str, networks: Sequence[Network]) -> bool:
    address = ip_address(source.partition("%")[0])  # without the interface, as in fe80::1%eth0
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # a [::] socket gives IPv4 sources in this form
    return any(address in one for one in networks)
