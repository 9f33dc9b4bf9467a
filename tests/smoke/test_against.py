"""A run against another revision: its own, so that both sides have the same programs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import tool
from nearmetal.paths import source_root

WORDS = ("--rungs", "host-sock:kv,host-mmsg:kv,memcached", "--rounds", "2", "--against", "HEAD")

pytestmark = pytest.mark.timeout(tool.RUN_S)


@pytest.mark.usefixtures("only_full")
def test_both_sides_are_measured_in_pairs(tmp_path: Path) -> None:
    if shutil.which("git") is None or not (source_root() / ".git").exists():
        pytest.skip("no git, or no clone: there are no revisions")
    head = subprocess.run(
        ["git", "-C", str(source_root()), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    out = tmp_path / "out"
    said = tool.bench("smoke", out, *WORDS)
    assert f"against {head[:10]}" in said
    found = json.loads((out / "report.json").read_text())["against"]
    assert (found["commit"], found["dirty"]) == (head, False)
    rows = {row["row"]: row for row in found["rows"]}
    for name in ("host-sock kv", "host-mmsg kv"):
        row = rows[name]
        assert (row["status"], row["pairs"]) == ("ok", 2), row["reason"]
        for ratio in (row["by_rate"], row["by_busy_cycles"]):
            assert 0 < ratio["low"] <= ratio["median"] <= ratio["high"]
    assert rows["memcached kv"]["status"] == "skipped"
    assert rows["memcached kv"]["reason"]
    memcached = tool.rows(out)["memcached", "kv"]["rounds"]  # 0 if memcached is not available
    lines = (out / "samples.jsonl").read_text().splitlines()
    sides = [json.loads(line)["against"] for line in lines]
    assert (sides.count(head[:10]), sides.count(None)) == (4, 4 + memcached)
