"""Shared by the tests of statistics and reports: a run with a row of every kind."""

from __future__ import annotations

from pathlib import Path

import made
import pytest


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Rows that are fine, generator-bound, unstable, skipped and failed."""
    trials = [
        *made.rounds("memcached", "kv", [181_000, 176_000, 190_000]),
        *made.rounds("host-py", "kv", [21_000]),
        *made.rounds("host-sock", "kv", [301_000, 298_000, 305_000]),
        *made.rounds("host-sock", "echo", [321_000, 318_000, 325_000]),
        *made.rounds("host-mmsg", "kv", [345_000, 349_000, 290_000], sut_core=made.core(0, 0.4)),
        made.sample("host-mmsg", "echo", counts=made.counts(1000, wrong=3, stale=1)),
        *made.rounds("limit-veth", "echo", [1_345_000] * 3, sut_core=made.core(0, 1.4)),
    ]
    state = made.DONE | {"skipped": {"host-py": "no <b>interpreter</b> & [bold]no[/] luck"}}
    spec = made.spec("memcached", "host-py", "host-sock", "host-mmsg", "limit-veth")
    return made.folder(tmp_path / "20261122T100000Z-made", spec, trials, state)
