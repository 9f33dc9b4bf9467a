"""Fixtures: a network namespace for a test, with real links; an owner that has ended."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nearmetal.machine.journal import Journal
from nearmetal.machine.links import netns
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.owner import Fate, Owner


@pytest.fixture
def space(tmp_path: Path) -> Iterator[None]:
    """Run the test's thread in a new network namespace."""
    if os.geteuid() != 0:
        pytest.skip("needs root: makes links in a namespace")
    records = Journal(tmp_path / "netns-journal", owner.current())
    with netns._namespace(records, tmp_path / "ns"), netns.inside(tmp_path / "ns"):
        yield


@pytest.fixture
def gone() -> Owner:
    """An owner that has ended."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        status = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ended = replace(owner.current(), pid=child.pid, started_ticks=int(status[19]))
        assert owner.fate(ended) is Fate.LIVES
        child.kill()
    assert owner.fate(ended) is Fate.DEAD
    return ended
