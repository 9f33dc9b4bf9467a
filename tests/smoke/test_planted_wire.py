"""The whole flow on a wire that is added by one file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from left import left, look

import planted_wire
import tool

pytestmark = pytest.mark.timeout(tool.RUN_S)


@pytest.mark.parametrize("of", ["veth", "lo"])
def test_a_row_is_measured_on_it(of: str, tmp_path: Path, is_long: bool) -> None:
    if of == "veth" and os.geteuid() != 0:
        pytest.skip("veth needs root")
    if of == "lo" and os.geteuid() == 0 and not is_long:
        pytest.skip("only with --full: the ordinary edition tries veth")
    before, out = look(), tmp_path / "out"
    argv = [sys.executable, str(Path(planted_wire.__file__)), str(out), of]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=tool.LONG_S, check=False)
    tool.skip_where_busy(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    (top,) = json.loads((out / "topology.json").read_text())["wires"]
    assert top["wire"] == planted_wire.NAME
    for row in tool.rows(out).values():
        assert (row["wire"], row["status"]) == (planted_wire.NAME, "ok"), row["reason"]
        assert row["answered"] and row["wrong"] == 0
    assert not left(before), left(before)
