"""A failed null responder: its other rounds are used, and every row that depends on it has the
reason for the missing ones."""

from __future__ import annotations

import made
import pytest

from nearmetal.report.compute import Setting, rows
from nearmetal.report.row import Row
from nearmetal.samples import Sample

WHY = "nm-null-vhost did not send its counters within 15 s"


def row_of(ceiling: list[Sample]) -> Row:
    """Return the row host-dpdk kv of a run with these trials of `ceiling`."""
    spec = made.spec("host-dpdk", "ceiling")
    trials = [*made.rounds("host-dpdk", "kv", [100_000] * 3), *ceiling]
    found = rows(Setting(spec=spec), trials)
    return next(row for row in found if (row.rung, row.service) == ("host-dpdk", "kv"))


def failed(number: int) -> Sample:
    return made.sample("ceiling", "echo", number, status="failed", counts=None, reason=WHY)


def test_one_failed_round_removes_no_ceiling() -> None:
    good = made.rounds("ceiling", "echo", [400_000, 500_000])
    row = row_of([*good, failed(2)])
    assert row.generator_ceiling_per_s == 450_000 and row.generator_bound is False
    (label,) = (label for label in row.labels if label.startswith("ceiling"))
    assert label.startswith("ceiling of fewer rounds: of the null responder 2 of 3 rounds gave")
    assert f"round 3: {WHY}" in label


def test_a_row_without_a_ceiling_says_why_there_is_none() -> None:
    row = row_of([failed(0), failed(1)])
    assert row.generator_ceiling_per_s is None
    (label,) = (label for label in row.labels if label.startswith("ceiling"))
    assert label.startswith("ceiling unknown: ") and WHY in label


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_whole_ceiling_needs_no_word(rounds: int) -> None:
    row = row_of(made.rounds("ceiling", "echo", [400_000] * rounds))
    assert row.generator_ceiling_per_s == 400_000
    assert not any(label.startswith("ceiling") for label in row.labels)
