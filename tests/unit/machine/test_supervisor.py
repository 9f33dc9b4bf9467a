"""Notifications to a service manager, and the format of a line of its log."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nearmetal.machine.processes import supervisor


@contextmanager
def manager(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[socket.socket]:
    """A socket with this name that receives notifications; name as in NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        listening.settimeout(10)
        monkeypatch.setenv(supervisor.SOCKET, name)
        yield listening


@pytest.mark.parametrize("abstract", [True, False])
def test_it_is_told_in_one_datagram(
    abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"@nearmetal-test-{os.getpid()}" if abstract else str(tmp_path / "manager")
    with manager(monkeypatch, name) as listening:
        assert supervisor.is_there()
        assert supervisor.tell("READY=1", "STATUS=serves é") is None
        assert listening.recv(1000).decode() == "READY=1\nSTATUS=serves é"


def test_without_a_manager_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(supervisor.SOCKET, raising=False)
    assert supervisor.tell("READY=1") is None
    monkeypatch.setenv(supervisor.SOCKET, "")
    assert supervisor.tell("READY=1") is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/nowhere/manager", "No such file or directory"),
        ("@no-manager-listens-here", "Connection refused"),
        ("/" + "x" * 200, "too long"),
        ("vsock:2:1234", "not a path or abstract name"),
    ],
)
def test_one_that_cannot_be_told_is_a_reason(
    name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(supervisor.SOCKET, name)
    told = supervisor.tell("READY=1")
    assert told is not None and why in told and supervisor.SOCKET in told


def test_one_that_does_not_listen_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_TAKES_S", 0.01)
    with manager(monkeypatch, str(tmp_path / "manager")):
        told = next(filter(None, (supervisor.tell("STATUS=x") for _ in range(100_000))), None)
    assert told is not None and "timed out" in told


def test_a_line_has_its_level_in_the_managers_log_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(supervisor.SOCKET, raising=False)
    with (tmp_path / "log").open("w") as log, (tmp_path / "other").open("w") as other:
        found = os.fstat(log.fileno())
        monkeypatch.setenv(supervisor.JOURNAL, f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr("sys.stderr", log)
        assert supervisor.line("x", 3) == "<3>x" and supervisor.is_there()
        monkeypatch.setattr("sys.stderr", other)
        assert supervisor.line("x", 3) == "nearmetal: x" and not supervisor.is_there()
        monkeypatch.setattr("sys.stderr", None)
        assert supervisor.line("x") == "nearmetal: x"
    monkeypatch.setattr("sys.stderr", log)
    assert supervisor.line("x") == "nearmetal: x", "a closed stderr"
