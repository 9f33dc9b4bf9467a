"""What a contributor adds is known everywhere: planted in a copy of the tree, with nothing else.

The copy builds for itself, so all of it is asked in the full edition only; what needs no build is
asked in both.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import planted
import tool

pytestmark = pytest.mark.timeout(3 * tool.RUN_S)

TESTED = ("test_corpus", "test_differential", "test_liar", "test_programs")
ROWS = {"host-planted", "guest-planted", "guest-planted-tap", "guest-planted-vhost-net"}


@pytest.fixture
def copy(tmp_path: Path) -> planted.Tree:
    made = planted.tree(tmp_path / "tree")
    planted.datapath(made, "sock", "planted")
    assert made.changed() == {
        "native/datapath/planted.c",
        "src/nearmetal/spec/datapaths",
        "docs/rungs.md",
    }
    return made


def test_a_datapath_is_known_by_its_row(copy: planted.Tree) -> None:
    listed = copy.run("nearmetal", "list")
    assert listed.returncode == 0, listed.stderr
    assert {word for word in listed.stdout.split() if "planted" in word} >= ROWS
    assert copy.run("nearmetal", "doctor").returncode == 0
    found = copy.run("pytest", "-n0", "-q", "--collect-only", "tests/wire", "-k", "planted")
    assert found.returncode == 0, found.stdout
    for name in TESTED:
        assert f"{name}.py::" in found.stdout
    proved = copy.run("pytest", "-n0", "-q", "tests/unit/spec", "tests/style/test_names.py")
    assert proved.returncode == 0, proved.stdout


@pytest.mark.rung("host-sock")
@pytest.mark.usefixtures("only_full")
def test_a_datapath_is_tested_and_measured(copy: planted.Tree, tmp_path: Path) -> None:
    wire = [f"tests/wire/{name}.py" for name in TESTED]
    tested = copy.run("pytest", "-n0", "-q", *wire, "-k", "host-planted")
    assert tested.returncode == 0, tested.stdout
    assert " failed" not in tested.stdout and " passed" in tested.stdout
    out = tmp_path / "run"
    words = ("--spec", "smoke", "--rungs", "host-planted,host-sock", "--out", str(out), "--yes")
    measured = copy.run("nearmetal", "bench", *words)
    tool.skip_where_busy(measured.stdout + measured.stderr)
    assert measured.returncode == 0, measured.stdout + measured.stderr
    rows = json.loads((out / "report.json").read_text(encoding="utf-8"))["rows"]
    assert {row["rung"] for row in rows if row["status"] == "ok"} == {"host-planted", "host-sock"}
