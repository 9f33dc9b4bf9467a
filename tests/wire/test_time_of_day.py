"""Every place knows what time it is: an item with a Unix time is gone when that has come, by this
machine's clock.

What is compared are times read just before a question is sent and just after its answer is there,
so a slow machine makes the range wider and fails nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from targets import OURS, Target, Tools, open_target

from nearmetal.kv.corpus.case import ALL_RIGHTS, FRAME, put
from nearmetal.kv.protocol import END, FRAME_BYTES, STORED
from nearmetal.spec import rungs

LATE_S = 1.0  # docs/service.md
# What a counter's frequency may be wrong by, in the seconds of this test; a guest measures its own
# while others may hold its processor up.
EARLY_S, EARLY_MACHINE_S = 0.1, 1.0
PLACES = [rung for rung in OURS if rung not in ("model", "mem")]  # the clock of these is a test's


@pytest.mark.parametrize(
    "rung", [pytest.param(rung, id=rung, marks=pytest.mark.rung(rung)) for rung in PLACES]
)
def test_unix_times(
    rung: str,
    programs: Callable[[str], Path],
    third_party: Callable[[str], list[str]],
    record_property: Callable[[str, object], None],
) -> None:
    target = open_target(rung, Tools(programs, third_party))
    try:
        _gone_at_once(target)
        early_s = EARLY_MACHINE_S if rungs.find(rung).machine else EARLY_S
        gone_s = _gone_in_time(target, early_s)
    finally:
        target.close()
    record_property("gone_s", gone_s)
    print(f"{rung}: gone {gone_s[0]:+.3f} to {gone_s[1]:+.3f} s after its time")


def _gone_at_once(target: Target) -> None:
    """As soon as it is stored: its time is over."""
    assert _ask(target, put(b"past", b"x", exptime=int(time.time()) - 1)) == STORED
    assert _ask(target, b"get past\r\n") == END


def _gone_in_time(target: Target, early_s: float) -> tuple[float, float]:
    """Since when it may be gone, and since when it is, from its time on."""
    end_s = int(time.time()) + 2
    assert _ask(target, put(b"soon", b"x", exptime=end_s)) == STORED
    seen_s = float("-inf")
    while True:
        asked_s = time.time() - end_s
        answer = _ask(target, b"get soon\r\n")
        answered_s = time.time() - end_s
        if answer == END:
            assert answered_s >= -early_s, "gone too early"
            return seen_s, answered_s
        assert asked_s < LATE_S, "still there"
        seen_s = asked_s


def _ask(target: Target, body: bytes) -> bytes:
    (datagram,) = target.ask(FRAME + body, ALL_RIGHTS)
    return datagram[FRAME_BYTES:]
