"""Paths of sockets below the state directory are short enough."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from nearmetal.machine.processes import owner

UNIX_PATH_BYTES_MAX = 107  # unix(7)
BELOW = "nm-4194304-switch/vhost-user-of-it.sock"


@pytest.mark.parametrize("runtime", ["", "r", "r" * 100])
@pytest.mark.parametrize("name", ["t", "t" * 110, "ä" * 60])
def test_a_socket_below_it_can_be_named(
    name: str, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (tmp_path / runtime).mkdir(exist_ok=True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / runtime) if runtime else "")
    found = owner.state_directory()
    assert len(os.fsencode(found / BELOW)) <= UNIX_PATH_BYTES_MAX
    assert found.parent.is_dir()


def test_a_short_place_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr(tempfile, "tempdir", "/var/tmp")
    assert owner.state_directory() == Path("/var/tmp/nearmetal-1000")
