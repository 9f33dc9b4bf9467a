"""IPv4 networks for our links.

A wire with both ends in our own namespaces meets none of the machine's routes: it always has OWN,
without a search. A link among the machine's own links, a tap device or one end of a pair, gets a
network that is not in use.

    covers       a route that is shorter than the network, e.g. 0.0.0.0/0, or a VPN's 0.0.0.0/1 and
                 128.0.0.0/1: our route is more specific and wins. No conflict.
    is within    a route or an address inside the network: one of the two would hide the other.
                 A conflict.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network

from pyroute2 import IPRoute

from nearmetal.errors import CannotRunError

OWN = IPv4Network("198.18.0.0/24")

# Ranges to choose from, in order: benchmarks (RFC 2544), examples (RFC 5737), links between
# providers and customers (RFC 6598), private use (RFC 1918).
_RANGES = (
    *("198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
    *("100.64.0.0/10", "172.16.0.0/12", "10.0.0.0/8"),
)
_PREFIX_BITS = 24
_TURN = "\0nearmetal-network"
_TURN_S, _LOOK_S = 10.0, 0.02
_WIDE_BITS = 8  # a shorter route leads to the rest of the world


@contextmanager
def choosing() -> Iterator[IPv4Network]:
    """Yield a free network; the body gives its addresses to a link.

    No other process of this network namespace chooses one meanwhile, or both would find the same.
    One that takes longer than _TURN_S is not waited for. CannotRunError: there is none.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as turn:
        deadline = time.monotonic() + _TURN_S
        while time.monotonic() < deadline:
            with suppress(OSError):
                # An abstract name (unix(7)) is one of the network namespace, and goes with us.
                turn.bind(_TURN)
                break
            time.sleep(_LOOK_S)
        yield free()


def free() -> IPv4Network:
    """Return the first /24 that has no address or route here. CannotRunError: there is none."""
    return first_free(list(_taken()))


def first_free(taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return the first /24 of _RANGES that only wide networks cover. Pure.

    If there is none, return the first that contains no network in use, though a route covers it.
    CannotRunError: there is none.
    """
    inside, around = set[IPv4Network](), set[IPv4Network]()
    for network in taken:
        if network.prefixlen >= _PREFIX_BITS:
            inside.add(network.supernet(new_prefix=_PREFIX_BITS))
        elif not is_wide(network.prefixlen):
            around.add(network)
    for covering in (around, set[IPv4Network]()):
        for subnet in _candidates():
            if subnet not in inside and not any(map(subnet.subnet_of, covering)):
                return subnet
    raise CannotRunError(f"no network left for a link: all of {', '.join(_RANGES)} is in use here")


def is_wide(prefix_bits: int) -> bool:
    """Whether a route of this length leads to the rest of the world: a default route, or one half
    of a VPN's default route."""
    return prefix_bits < _WIDE_BITS


def _candidates() -> Iterator[IPv4Network]:
    for text in _RANGES:
        yield from IPv4Network(text).subnets(new_prefix=_PREFIX_BITS)


def _taken() -> Iterator[IPv4Network]:
    """Yield all IPv4 addresses and routes of this machine, from every routing table."""
    with IPRoute() as route:
        for entry in route.get_addr(socket.AF_INET):
            yield _network(entry.get("address"), entry["prefixlen"])
        for entry in route.get_routes(socket.AF_INET):
            if entry.get("dst"):
                yield _network(entry.get("dst"), entry["dst_len"])


def _network(address: str, prefix_bits: int) -> IPv4Network:
    return IPv4Network(f"{address}/{prefix_bits}", strict=False)
