"""The lease, with a simulated clock."""

from __future__ import annotations

from nearmetal.testbed.lease import Lease


class Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_it_ends_when_nothing_is_heard() -> None:
    clock = Clock()
    lease = Lease(10, clock)
    clock.now_s += 9.5
    assert not lease.expired()
    assert lease.left_s() == 0.5
    clock.now_s += 0.5
    assert lease.expired()
    assert lease.left_s() == 0


def test_every_sign_of_life_renews_it_whole() -> None:
    clock = Clock()
    lease = Lease(10, clock)
    for _ in range(100):
        clock.now_s += 9
        assert not lease.expired()
        lease.heard()
        assert lease.left_s() == 10


def test_a_sign_of_life_that_comes_too_late_does_not_revive_it() -> None:
    clock = Clock()
    lease = Lease(10, clock)
    clock.now_s += 10
    lease.heard()
    assert lease.expired()
