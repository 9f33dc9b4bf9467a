"""The network of a link that we make, for a machine with given links and routes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network

import pytest

from nearmetal.errors import CannotRunError
from nearmetal.machine.links import networks, nic

VPN = ("0.0.0.0/1", "128.0.0.0/1")
EVERY = ("198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "100.64.0.0/10")
PRIVATE = ("172.16.0.0/12", "10.0.0.0/8")


def first(*taken: str) -> str:
    return str(networks.first_free([IPv4Network(text) for text in taken]))


@pytest.mark.parametrize(
    ("taken", "gets"),
    [
        ((), "198.18.0.0/24"),
        (("0.0.0.0/0",), "198.18.0.0/24"),
        (VPN, "198.18.0.0/24"),
        (("192.0.0.0/2", "198.0.0.0/7"), "198.18.0.0/24"),
        (("198.18.0.0/24", "198.18.1.7/32"), "198.18.2.0/24"),
        (("198.18.0.0/15",), "192.0.2.0/24"),
        (("198.0.0.0/8", *VPN), "192.0.2.0/24"),
        ((*EVERY, *PRIVATE), "198.18.0.0/24"),  # all routed: our route is more specific and wins
        ((*EVERY, *PRIVATE, "198.18.0.1/32"), "198.18.1.0/24"),
    ],
)  # fmt: skip
def test_a_route_that_covers_is_none_that_conflicts(taken: tuple[str, ...], gets: str) -> None:
    assert first(*taken) == gets


def test_none_is_left() -> None:
    full = [net for text in (*EVERY, *PRIVATE) for net in IPv4Network(text).subnets(new_prefix=24)]
    with pytest.raises(CannotRunError, match="no network left for a link"):
        networks.first_free(full)


@pytest.mark.parametrize(
    ("kind", "bits", "wide"), [(1, 0, True), (1, 1, True), (1, 24, False), (7, 0, False)]
)
def test_the_halves_of_a_default_route_are_one(kind: int, bits: int, wide: bool) -> None:
    assert nic._is_wide({"type": kind, "dst_len": bits}) is wide


def test_two_that_choose_at_once_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second looks when the first one has given the addresses to its link."""
    taken: list[IPv4Network] = []
    monkeypatch.setattr(networks, "free", lambda: networks.first_free(taken))

    def take() -> IPv4Network:
        with networks.choosing() as subnet:
            time.sleep(0.1)
            taken.append(subnet)
            return subnet

    with ThreadPoolExecutor(4) as pool:
        found = [each.result() for each in [pool.submit(take) for _ in range(4)]]
    assert len(set(found)) == 4


def test_one_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_TURN_S", 0.1)
    monkeypatch.setattr(networks, "free", lambda: networks.OWN)
    with networks.choosing() as first, networks.choosing() as second:
        assert first == second == networks.OWN
