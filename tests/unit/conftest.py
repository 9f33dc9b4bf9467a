"""A network namespace of the test's own, for links that are real."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearmetal.machine.journal import Journal
from nearmetal.machine.links import netns
from nearmetal.machine.processes import owner


@pytest.fixture
def space(tmp_path: Path) -> Iterator[None]:
    """The test's thread is in it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes links in a namespace")
    records = Journal(tmp_path / "netns-journal", owner.current())
    with netns._namespace(records, tmp_path / "ns"), netns.inside(tmp_path / "ns"):
        yield
