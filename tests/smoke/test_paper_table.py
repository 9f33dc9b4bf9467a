"""specs/paper.toml, shortened, on rows that need no virtual machine; others keep a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nearmetal.paths import source_root

SHORT = {"rounds = 3": "rounds = 1", "warmup_s = 1.0": "warmup_s = 0.1"}
SHORT |= {"measured_s = 3.0": "measured_s = 0.3"}
RUNGS = "host-sock,host-mmsg-plain,uk-dpdk,ceiling"


def test_the_paper_s_rows(tmp_path: Path) -> None:
    text = (source_root() / "specs" / "paper.toml").read_text()
    for long, short in SHORT.items():
        assert long in text
        text = text.replace(long, short)
    path = tmp_path / "paper.toml"
    path.write_text(text)
    line = [sys.executable, "-m", "nearmetal", "bench", "--spec", str(path), "--yes"]
    line += ["--rungs", RUNGS, "--out", str(tmp_path / "out")]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    if "another run has this machine" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr

    told = json.loads((tmp_path / "out" / "report.json").read_text())
    rows = {(row["rung"], row["service"]): row for row in told["rows"]}
    for (rung, service), row in rows.items():
        if rung == "uk-dpdk":
            assert row["status"] == "skipped" and "not ported" in row["reason"]
            continue
        assert row["status"] == "ok", row["reason"]
        assert row["wrong"] == row["lost"] == 0 and row["window"] == 128
        assert row["frame_bytes"] == {"request": 64, "reply": 85 if service == "kv" else 64}
        assert row["sent"] == row["gets"] and row["sets"] == 0
    ratios = {(each["question"], each["service"]): each for each in told["paper_ratios"]}
    for service in ("kv", "echo"):
        found = ratios["batch / single", service]
        assert found["ours"] > 0 and found["paper"] == pytest.approx(985 / 590)
        assert found["note"] == "" and found["gap"]
    assert "paper*" in done.stdout and "batch / single" in done.stdout
