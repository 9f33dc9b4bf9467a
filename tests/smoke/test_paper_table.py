"""specs/paper.toml, shortened, on rows without a virtual machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tool
from nearmetal.paths import source_root

SHORT = {"rounds = 3": "rounds = 1", "warmup_s = 1.0": "warmup_s = 0.1"}
SHORT |= {"measured_s = 3.0": "measured_s = 0.3"}
RUNGS = "host-sock,host-mmsg-plain,ceiling"

pytestmark = pytest.mark.timeout(tool.RUN_S)


def test_the_paper_s_rows(tmp_path: Path) -> None:
    text = (source_root() / "specs" / "paper.toml").read_text()
    for long, short in SHORT.items():
        assert long in text
        text = text.replace(long, short)
    path = tmp_path / "paper.toml"
    path.write_text(text)
    said = tool.bench(path, tmp_path / "out", "--rungs", RUNGS)
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    for (_rung, service), row in tool.rows(tmp_path / "out").items():
        assert row["status"] == "ok", row["reason"]
        assert row["wrong"] == 0 and row["window"] == 128
        assert row["sent"] == row["answered"] + row["lost"]  # lost if the machine stalled
        assert row["frame_bytes"] == {"request": 64, "reply": 85 if service == "kv" else 64}
        assert row["sent"] == row["gets"] and row["sets"] == 0
    ratios = {(each["question"], each["service"]): each for each in told["paper_ratios"]}
    for service in ("kv", "echo"):
        found = ratios["batch / single", service]
        assert found["ours"] > 0 and found["paper"] == pytest.approx(985 / 590)
        assert found["note"] == "" and found["gap"]
    assert "paper*" in said and "linux-metal:" in said  # the rest may be wrapped
