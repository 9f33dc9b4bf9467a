"""The order of tests, on a made-up suite: tests that one run skips are first in the next."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import order

CONFTEST = """
import sys
sys.path.insert(0, {tests!r})
import pytest
from order import Order

def pytest_addoption(parser):
    parser.addoption("--full", action="store_true")
    parser.addoption("--ends-at", type=float)

def pytest_configure(config):
    full, ends_at = config.getoption("--full"), config.getoption("--ends-at")
    config.pluginmanager.register(Order(config, full=full, ends_at=ends_at))

@pytest.fixture
def is_long():
    return False
"""
ALIKE = "def test_{name}(): print('ran {name}')\n"
OF_TWO_EDITIONS = "def test_{name}(is_long): print('ran {name}')\n"


class Suite:
    """Three test files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tests = str(Path(order.__file__).parent)
        (folder / "conftest.py").write_text(CONFTEST.format(tests=tests))
        for name, text in (("a", ALIKE), ("b", OF_TWO_EDITIONS), ("c", ALIKE)):
            (folder / f"test_{name}.py").write_text(text.format(name=name))

    def run(self, *words: str) -> str:
        """Run pytest, and return its output."""
        pytest = [sys.executable, "-m", "pytest", "-s", "-rs", "--rootdir", str(self.folder)]
        done = subprocess.run(
            [*pytest, *words],
            cwd=self.folder,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def ran(self, *words: str) -> list[str]:
        """Return the names of the tests that ran, in order."""
        return [word[:1] for word in self.run(*words).split("ran ")[1:]]


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def test_what_has_not_run_for_longest_goes_first(suite: Suite) -> None:
    assert suite.ran("--full", "test_a.py") == ["a"]
    assert suite.ran("--full") == ["b", "c", "a"]
    assert suite.ran("--full", "test_b.py") == ["b"]
    assert suite.ran("--full") == ["c", "a", "b"]


def test_the_ordinary_edition_counts_where_both_are_alike(suite: Suite) -> None:
    assert suite.ran() == ["a", "b", "c"]
    assert suite.ran("--full") == ["b", "a", "c"]


def test_when_the_time_is_over_the_rest_is_skipped_and_stays_first(suite: Suite) -> None:
    assert suite.ran("--full", "test_c.py") == ["c"]
    said = suite.run("--full", "--ends-at", "0")
    assert "3 skipped" in said and order.OVER in said
    assert suite.ran("--full") == ["a", "b", "c"]


def test_a_group_stays_in_one_worker(suite: Suite) -> None:
    many = "import pytest\n@pytest.mark.parametrize('number', range(20))\ndef test(number): pass\n"
    for name in "abc":
        (suite.folder / f"test_{name}.py").write_text(many)
    said = suite.run("-p", "xdist", "-v", "-n", "2", "--dist", "loadgroup", "-s")
    ran = set(re.findall(r"^\[(gw\d)\] .* test_(\w)\.py", said, re.MULTILINE))
    assert len(ran) == 3, ran


class Placed:
    """The parts of a test that sorting uses."""

    def __init__(self, file: str, name: str) -> None:
        self.location = (file, 1, name)

    def get_closest_marker(self, name: str) -> None:
        return None


def test_the_two_longest_groups_begin() -> None:
    names = ("tests/style/test_a.py", "tests/wire/test_liar.py", "tests/smoke/test_killed.py")
    tests: list[Any] = [Placed(file, str(number)) for number in range(2) for file in names]
    order.together(tests)
    assert [each.location[0] for each in tests] == [name for name in names[::-1] for _ in "ab"]
    assert [each.location[2] for each in tests] == ["0", "1"] * 3
