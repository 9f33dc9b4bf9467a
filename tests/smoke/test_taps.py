"""A Linux guest as a row on a tap device: measured, or skipped with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from left import left, look

import tool
from nearmetal.dut import available
from nearmetal.spec.rungs import find

SPEC = """
name = "taps"
window = 8
rounds = 1
warmup_s = 0.1
measured_s = 0.3
rungs = ["guest-dpdk-tap:kv", "guest-mmsg-tap:echo", "guest-sock-vhost-net:echo"]
[workload]
keys = 200
flows = 2
"""

pytestmark = pytest.mark.timeout(tool.RUN_S)


@pytest.mark.usefixtures("only_full")
def test_guests_on_tap_devices_have_a_figure_or_a_reason(tmp_path: Path) -> None:
    if (reason := available.why_not(find("guest-dpdk-tap"))) is not None:
        pytest.skip(reason)
    before = look()
    spec, out = tmp_path / "taps.toml", tmp_path / "run"
    spec.write_text(SPEC)
    tool.bench(spec, out)
    rows = {row["rung"]: row for row in json.loads((out / "report.json").read_text())["rows"]}
    for name in ("guest-dpdk-tap", "guest-mmsg-tap"):
        row = rows[name]
        assert row["status"] == "ok" and row["wire"] == "tap", row["reason"]
        assert row["answered"] and row["wrong"] == 0
        assert row["guest"]["kernel"] and row["accelerator"]
    theirs = rows["guest-sock-vhost-net"]
    if (reason := available.why_not(find("guest-sock-vhost-net"))) is not None:
        assert (theirs["status"], theirs["reason"]) == ("skipped", reason)
    else:
        assert theirs["status"] == "ok" and theirs["wire"] == "vhost-net", theirs["reason"]
    assert not left(before), left(before)
