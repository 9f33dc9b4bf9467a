"""The rights that a tap device needs, checked before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal.errors import CannotRunError
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import tried
from nearmetal.topology import served_tap


def test_without_the_right_there_is_none_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tried, "tap_why_not", lambda: "needs CAP_X: tap")
    with (
        pytest.raises(CannotRunError, match="no tap device: needs CAP_X: tap; `serve host-mmsg`"),
        served_tap.joined(open_journal(tmp_path), ["nm-relay"]),
    ):
        pass
    assert not list(tmp_path.iterdir())
