"""One run at a time per machine, for all users and in all namespaces."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearmetal.errors import BadInputError
from nearmetal.machine.processes import lock

HOLDER = (
    "import sys; from pathlib import Path\n"
    "from nearmetal.machine.processes.lock import machine_lock\n"
    "with machine_lock(Path(sys.argv[1])): print(flush=True); sys.stdin.readline()"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A lock that is not this machine's."""
    (tmp_path / "lock").touch()
    return tmp_path / "lock"


@contextlib.contextmanager
def holding(file: Path, *before: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock until it reads a line."""
    command = [*before, sys.executable, "-c", HOLDER, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield holder
        holder.kill()


def test_lock_names_the_holder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lock.WAIT)
    with holding(file) as holder:
        says = rf"pid {holder.pid} \(\w+\) since 2.*-c import sys"
        with pytest.raises(lock.BusyError, match=says), lock.machine_lock(file):
            pass
        holder.kill()
        holder.wait()
        with lock.machine_lock(file):  # a killed process holds no lock
            pass


def test_lock_is_waited_for_where_that_is_wanted(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lock.WAIT, "1")
    with holding(file) as holder:
        with pytest.raises(lock.BusyError, match=f"pid {holder.pid}"), lock.machine_lock(file):
            pass
        monkeypatch.setenv(lock.WAIT, "60")
        assert holder.stdin is not None
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        with lock.machine_lock(file):
            pass
    monkeypatch.setenv(lock.WAIT, "long")
    with pytest.raises(BadInputError, match="whole number"), lock.machine_lock(file):
        pass


def test_lock_is_given_back(file: Path) -> None:
    for _ in range(2):
        with lock.machine_lock(file):
            pass


def test_the_machine_s_is_one_for_all_users_and_containers() -> None:
    """The inode is the same everywhere, except in another time namespace."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root, and unshare: makes namespaces")
    if not Path("/proc/self/ns/time").exists():
        pytest.skip("this kernel has no time namespaces")

    def seen(*before: str) -> str:
        command = [*before, "stat", "-Lc", "%d:%i", str(lock.of_all(0))]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    apart = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--fork"]
    user = ["setpriv", "--reuid", "65534", "--clear-groups"]
    for before in (apart, [*apart, "--mount-proc"], ["unshare", "--map-root-user"], user):
        assert seen(*before) == seen(), before
    assert seen("unshare", "--time", "--fork") != seen()


def test_a_holder_that_is_not_visible_here(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A holder in another container: /proc/locks does not show it."""
    monkeypatch.delenv(lock.WAIT)
    monkeypatch.setattr(lock, "_pid_of_holder", lambda handle: None)
    with (
        holding(file),
        pytest.raises(
            lock.BusyError, match=r"its process cannot be seen from here.*NEARMETAL_WAIT_S"
        ),
        lock.machine_lock(file),
    ):
        pass
