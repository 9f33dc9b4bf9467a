"""A fixture for made-up machines on which a process may run on every core."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trees


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function from a host's facts to the root of its tree."""

    def make(**facts: object) -> Path:
        host = trees.Host(**facts)  # type: ignore[arg-type]
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(host.count)))
        return trees.build(tmp_path / "machine", host)

    return make
