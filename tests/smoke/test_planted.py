"""A contributor's addition is tested and measured: added to a copy of the tree, which has its own
build. tests/unit/spec/test_planted_datapath.py has the checks that need no build.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import planted
import tool

pytestmark = pytest.mark.timeout(3 * tool.RUN_S)


@pytest.fixture
def copy(tmp_path: Path) -> planted.Tree:
    made = planted.tree(tmp_path / "tree")
    planted.datapath(made, "sock", "planted")
    return made


@pytest.mark.rung("host-sock")
@pytest.mark.usefixtures("only_full")
def test_a_datapath_is_tested_and_measured(copy: planted.Tree, tmp_path: Path) -> None:
    wire = [f"tests/wire/{name}.py" for name in planted.WIRE_TESTS]
    tested = copy.run("pytest", "-n0", "-q", *wire, "-k", "host-planted")
    assert tested.returncode == 0, tested.stdout
    found = re.search(r"host-planted +(\d+) passed +0 failed +(\d+) skipped", tested.stdout)
    assert found is not None and int(found[1]) > 200 and int(found[2]) < 10, tested.stdout
    out = tmp_path / "run"
    words = ("--spec", "smoke", "--rungs", "host-planted,host-sock", "--out", str(out), "--yes")
    measured = copy.run("nearmetal", "bench", *words)
    tool.skip_where_busy(measured.stdout + measured.stderr)
    assert measured.returncode == 0, measured.stdout + measured.stderr
    rows = json.loads((out / "report.json").read_text(encoding="utf-8"))["rows"]
    assert {row["rung"] for row in rows if row["status"] == "ok"} == {"host-planted", "host-sock"}
