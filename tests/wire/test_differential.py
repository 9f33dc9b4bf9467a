"""Generated sequences to memcached and to every rung: the same bytes, except exceptions.toml."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from questions import datagrams
from session import Session
from targets import OURS, Target, Tools, fits, open_target

from nearmetal.kv.corpus.case import FRAME

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
        bodies = [body for body in asked if fits(rung, len(FRAME) + len(body))]
        theirs, ours = Session(memcached), Session(target)
        both = zip(bodies, ours.ask_all(bodies), theirs.ask_all(bodies), strict=True)
        for body, answer, right in both:
            assert answer == right, f"question {body!r}, seed {seed}"

    try:
        same()
    finally:
        target.close()


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    """A random seed in each run, reported with the test's result."""
    chosen = random.SystemRandom().randrange(2**32)
    record_property("seed", chosen)
    return chosen
