"""Generated sequences to memcached and to every rung: the same bytes, except exceptions.toml."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from questions import datagrams
from session import Session
from targets import NOW_S, OPEN, OURS, ModelTarget, Target, Tools, fits, open_target

from nearmetal.kv.corpus.case import FRAME
from nearmetal.kv.model import Model
from nearmetal.kv.protocol import unsigned

ORDINARY, EMULATED, LONG = 400, 100, 5_000  # examples per rung


@pytest.fixture(scope="module")
def tools(programs: Callable[[str], Path], third_party: Callable[[str], list[str]]) -> Tools:
    return Tools(programs, third_party)


@pytest.fixture(scope="module")
def memcached(tools: Tools) -> Iterator[Target]:
    target = open_target("memcached", tools)
    yield target
    target.close()


@pytest.mark.parametrize(
    "rung",
    [
        pytest.param(rung, id=rung, marks=pytest.mark.rung(rung))
        for rung in OURS
        if rung != "uk-netdev-q35"  # the image of uk-netdev, which finds its device on another bus
    ],
)
def test_as_memcached(rung: str, memcached: Target, tools: Tools, is_long: bool, seed: int) -> None:
    target = open_target(rung, tools)
    ordinary = EMULATED if rung.startswith(("guest-", "uk-")) else ORDINARY

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=LONG if is_long else ordinary, deadline=None, database=None, print_blob=True
    )
    @hypothesis.given(datagrams)
    def same(asked: list[bytes]) -> None:
        bodies = comparable([body for body in asked if fits(rung, len(FRAME) + len(body))])
        theirs, ours = Session(memcached), Session(target)
        both = zip(bodies, ours.ask_all(bodies), theirs.ask_all(bodies), strict=True)
        for body, answer, right in both:
            assert answer == right, f"question {body!r}, seed {seed}"

    try:
        same()
    finally:
        target.close()


def test_large_numbers_are_cut() -> None:
    largest, one_more = b"set a 0 0 19\r\n9223372036854775807\r\n", b"incr a 1\r\n"
    asked = [largest, one_more, b"get a\r\n", one_more, b"get a\r\n"]
    assert comparable(asked) == asked[:3]
    assert comparable([largest + one_more + one_more]) == []
    assert comparable([largest, b"incr a 1 noreply\r\n", b"decr a 1 noreply\r\n"]) == [
        largest,
        b"incr a 1 noreply\r\n",
    ]
    assert comparable([largest, b"decr a 1\r\n", one_more]) == [
        largest,
        b"decr a 1\r\n",
        one_more,
    ]


class Large(Model):
    """The model; notices an incr or decr of a stored number of 2^63 or more."""

    was_met = False

    def _arithmetic(self, words: list[bytes]) -> bytes:
        item = self.items.get(words[1])
        self.was_met |= item is not None and (unsigned(item.value) or 0) >= 1 << 63
        return super()._arithmetic(words)


def comparable(bodies: list[bytes]) -> list[bytes]:
    """Cut a sequence before the first incr or decr of a stored number of 2^63 or more.

    memcached looks for a '-' behind such a number, past the item's end, up to the next zero byte
    (exceptions.toml). The next item's pointers may hold this byte.
    """
    target = ModelTarget(OPEN)
    target.model = large = Large(memory_bytes=1 << 40, now_s=NOW_S)
    session = Session(target)
    for count, body in enumerate(bodies):
        session.ask(body)
        if large.was_met:
            return bodies[:count]
    return bodies


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    """A random seed in each run, reported with the test's result."""
    chosen = random.SystemRandom().randrange(2**32)
    record_property("seed", chosen)
    return chosen
