"""What a tap device needs before anything is made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nearmetal.errors import CannotRunError
from nearmetal.machine.journal import open_journal
from nearmetal.topology import served_tap


def test_without_root_there_is_none_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with (
        pytest.raises(CannotRunError, match="a tap device needs root"),
        served_tap.joined(open_journal(tmp_path), ["nm-relay"]),
    ):
        pass
    assert not list(tmp_path.iterdir())
