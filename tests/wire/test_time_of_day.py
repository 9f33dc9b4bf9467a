"""Every place has the right time: an item with a Unix time expires at that time, by this machine's
clock.

The compared times are read just before a question is sent and just after its answer arrives, so a
slow machine widens the range, and fails no test.
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
# The possible error of a counter's frequency, in seconds over this test; a guest measures its
# counter while other load may stall its processor.
EARLY_S, EARLY_MACHINE_S = 0.1, 1.0
PLACES = [rung for rung in OURS if rung not in ("model", "mem")]  # these have a simulated clock


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
    """An item whose time is over expires as soon as it is stored."""
    assert _ask(target, put(b"past", b"x", exptime=int(time.time()) - 1)) == STORED
    assert _ask(target, b"get past\r\n") == END


def _gone_in_time(target: Target, early_s: float) -> tuple[float, float]:
    """Return from when the item may be gone and from when it is, relative to its time."""
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
