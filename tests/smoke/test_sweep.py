"""A sweep from spec to report, on real programs: the closed loop first, then shares of its peak."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tool

SPEC = """
window = 16
rounds = 2
warmup_s = 0.1
measured_s = 0.3
rungs = ["host-sock:kv", "host-dpdk:kv"]

[workload]
name = "smoke"
keys = 1_000
flows = 4

[sweep]
"""
SWEEPS = {
    "rate": 'rate = ["20%", 1_000]\narrivals = "poisson"',
    "keys": "keys = [100, 2_000]",
}

pytestmark = pytest.mark.timeout(tool.RUN_S)


def rows_of(axis: str, folder: Path) -> list[dict[str, Any]]:
    """Return the measured rows; a rung that cannot run here has a reason instead."""
    path = folder / "mine.toml"
    path.write_text(SPEC + SWEEPS[axis])
    tool.bench(path, folder / "out")
    report = json.loads((folder / "out" / "report.json").read_text())
    for row in report["rows"]:
        assert row["status"] == "ok" or (row["status"] == "skipped" and row["reason"]), row
    return [row for row in report["rows"] if row["status"] == "ok"]


def test_shares_of_the_peak(tmp_path: Path) -> None:
    rows = rows_of("rate", tmp_path)
    assert len(rows) in (3, 6)
    for row in rows:
        assert (row["rounds"], row["wrong"]) == (2, 0)
        if row["loop"] == "closed":
            assert row["intended"] is None
            continue
        assert row["intended"] == row["sent"] + row["not_sent"] > 0
        assert 0 <= row["loss_ratio"]["low"] <= row["loss_ratio"]["high"] <= 1
        assert row["slipped_ns"] is not None
    peak, share = rows[0], rows[1]
    assert (peak["loop"], share["point"]["peak_share"]) == ("closed", 0.2)
    wanted = 0.2 * peak["replies_per_s"]["median"]
    assert share["point"]["rate_per_s"] == pytest.approx(wanted, abs=1)
    assert rows[2]["point"]["rate_per_s"] == 1_000


def test_memory_follows_the_keys(tmp_path: Path) -> None:
    rows = rows_of("keys", tmp_path)
    assert [row["point"]["keys"] for row in rows] in ([100, 2_000], [100, 2_000] * 2)
    assert all(row["loop"] == "closed" and row["evicted"] == 0 for row in rows)
