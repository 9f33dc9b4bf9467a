"""The C store against the model, with a simulated clock: expiry, cas, delayed flushes, eviction.

hypothesis makes the sequences. The model has room for everything. When the store has counted
evictions, the test removes the evicted keys from the model: at most as many as were counted, and a
key that is still held must have its value. A miss without a counted eviction fails, and so does a
value that is not the newest.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from library import Library
from questions import command, keys
from session import Session
from targets import NOW_S, OPEN, ModelTarget

from nearmetal.kv.protocol import END

MEMORY_BYTES = 1 << 20  # the minimum: some 15 of the largest values
LARGEST_BYTES = 60_000
ORDINARY, LONG = (24, 50), (200, 100)  # examples, and steps per example


class StoreMachine(RuleBasedStateMachine):
    """The same questions to the library and to the model."""

    path: Path  # path of the library; set by the test

    @initialize()
    def open(self) -> None:
        self.library = Library(self.path, OPEN, MEMORY_BYTES, NOW_S)
        self.reference = ModelTarget(OPEN)
        self.ours, self.right = Session(self.library), Session(self.reference)
        self.evicted = 0
        self.number = 0

    @rule(body=command)
    def any_command(self, body: bytes) -> None:
        self.same(body)

    @rule(key=keys, exptime=st.integers(-1, 5), size=st.integers(0, 300))
    def store_for_seconds(self, key: bytes, exptime: int, size: int) -> None:
        self.same(b"set %b 1 %d %d\r\n%b\r\n" % (key, exptime, size, b"s" * size))

    @rule(key=keys, exptime=st.integers(0, 5), name=st.sampled_from([b"touch %b %d\r\n", b"T"]))
    def touch_for_seconds(self, key: bytes, exptime: int, name: bytes) -> None:
        self.same(
            b"touch %b %d\r\n" % (key, exptime)
            if name != b"T"
            else b"gat %d %b\r\n" % (exptime, key)
        )

    @rule(exptime=st.integers(1, 5))
    def flush_later(self, exptime: int) -> None:
        self.same(b"flush_all %d\r\n" % exptime)

    @rule(seconds=st.integers(1, 3))
    def wait(self, seconds: int) -> None:
        self.library.now_s += seconds
        self.reference.now_s += seconds
        self.same(b"get a b\r\n")

    @rule(
        name=st.integers(0, 39),
        size=st.one_of(st.sampled_from([20_000, LARGEST_BYTES]), st.integers(1, LARGEST_BYTES)),
        count=st.integers(1, 20),
    )
    def fill(self, name: int, size: int, count: int) -> None:
        """Large values, each different, so that a stale one is detected."""
        for i in range(name, name + count):
            self.number += 1
            value = (b"%d." % self.number * size)[:size]
            self.same(b"set f%d 0 0 %d\r\n%b\r\n" % (i % 40, size, value))

    @rule(name=st.integers(0, 39))
    def look(self, name: int) -> None:
        self.same(b"gets f%d\r\n" % name)

    @rule(name=st.integers(0, 39), size=st.integers(1, 20_000))
    def grow(self, name: int, size: int) -> None:
        self.same(b"append f%d 0 0 %d\r\n%b\r\n" % (name, size, b"g" * size))

    def same(self, body: bytes) -> None:
        """Compare both answers to a question; then follow the evictions."""
        ours, right = self.ours.ask(body), self.right.ask(body)
        assert ours == right, f"{body[:80]!r}: {ours[:200]!r}, not {right[:200]!r}"
        evicted = self.library.counters()["evicted"]
        if evicted > self.evicted:
            self.follow_evictions(evicted - self.evicted)
            self.evicted = evicted

    def follow_evictions(self, most: int) -> None:
        gone = 0
        for key in list(self.reference.model.items):
            if self.ours.ask(b"get %b\r\n" % key) == END:
                item = self.reference.model.items[key]
                self.reference.model.evict(key)
                gone += not 0 < item.expires_s <= self.reference.now_s
        assert gone <= most, f"{gone} items were evicted, {most} evictions were counted"

    @invariant()
    def within_memory(self) -> None:
        counters = self.library.counters()
        assert counters["live_bytes"] <= MEMORY_BYTES
        assert counters["items"] <= len(self.reference.model.items)


@pytest.mark.rung("mem")
def test_store_as_model(
    programs: Callable[[str], Path],
    is_long: bool,
    record_property: Callable[[str, object], None],
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    record_property("seed", seed)
    examples, steps = LONG if is_long else ORDINARY
    machine: Any = type("Machine", (StoreMachine,), {"path": programs("libnm-kv.so")})
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)
