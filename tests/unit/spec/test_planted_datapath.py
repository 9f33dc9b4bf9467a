"""A contributor's datapath is known everywhere by its row alone; added to a copy of the tree.

tests/smoke/test_planted.py has the checks that need the copy's own programs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import planted
import tool

pytestmark = pytest.mark.timeout(tool.RUN_S)

ROWS = {"host-planted", "guest-planted", "guest-planted-tap", "guest-planted-vhost-net"}


@pytest.fixture
def copy(tmp_path: Path) -> planted.Tree:
    made = planted.tree(tmp_path / "tree")
    planted.datapath(made, "sock", "planted")
    return made


def test_a_datapath_is_one_file_one_row_and_one_section(copy: planted.Tree) -> None:
    assert copy.changed() == {
        "native/datapath/planted.c",
        "src/nearmetal/spec/datapaths",
        "docs/rungs.md",
    }


def test_a_datapath_is_known_by_its_row(copy: planted.Tree) -> None:
    listed = copy.run("nearmetal", "list")
    assert listed.returncode == 0, listed.stderr
    assert {word.strip(",") for word in listed.stdout.split() if "planted" in word} >= ROWS
    assert copy.run("nearmetal", "doctor").returncode == 0
    found = copy.run("pytest", "-n0", "-q", "--collect-only", "tests/wire", "-k", "planted")
    assert found.returncode == 0, found.stdout
    for name in planted.WIRE_TESTS:
        assert f"{name}.py::" in found.stdout
    files = ("tests/unit/spec/test_datapaths.py", "tests/style/test_names.py")
    proved = copy.run("pytest", "-n0", "-q", *files)
    assert proved.returncode == 0, proved.stdout
