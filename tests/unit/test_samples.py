"""Conditions under which a trial fails its row."""

from __future__ import annotations

import pytest

from nearmetal.samples import Counts, fault_of

RIGHT = {"duration_ns": 1, "sent": 9, "answered": 9}


@pytest.mark.parametrize(
    ("changed", "evicted", "says"),
    [
        ({}, 0, ""),
        ({}, None, ""),
        ({"answered": 2, "lost": 7}, None, ""),  # losses are counted, but are not wrong answers
        ({"answered": 6, "wrong": 3, "stale": 1}, 0, "3 wrong answers of 9 (1 stale, 0 unexpected"),
        ({"answered": 8}, 0, "counts do not add up"),
        ({"wrong": 1, "answered": 8, "stale": 2}, 0, "counts do not add up: a part is larger"),
        ({"lost": 1, "answered": 8, "late": 2}, 0, "counts do not add up: a part is larger"),
        ({}, 5, "the server evicted 5 items"),
        ({"answered": 0, "lost": 9}, 0, "no right answer to 9 requests"),
        ({"duration_ns": 0}, 0, "no right answer"),
    ],
)
def test_what_fails_a_trial(changed: dict[str, int], evicted: int | None, says: str) -> None:
    counts = dict.fromkeys(Counts.model_fields, 0) | RIGHT | changed
    reason = fault_of(Counts(**counts), evicted)
    assert reason.startswith(says) and bool(reason) == bool(says)
