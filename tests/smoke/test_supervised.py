"""serve under a simulated service manager: its notifications, and the lines of its log. As under
systemd: a nearly empty environment, no terminal, and no input."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import tool
from nearmetal.kv.client import Client
from nearmetal.machine.links import tried
from nearmetal.machine.processes import supervisor
from nearmetal.paths import cache_dir, source_root

pytestmark = pytest.mark.timeout(tool.RUN_S)


class Manager:
    """Starts `serve`, and receives its notifications."""

    def __init__(self, *words: str, listens: bool = True) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # any abstract name (unix(7), Autobind)
        self._socket.settimeout(tool.LONG_S)
        name = f"@{self._socket.getsockname()[1:].decode()}"
        if not listens:
            self._socket.close()
        log, end = os.pipe()
        self.log = os.fdopen(log, encoding="utf-8")
        its = os.fstat(end)
        given = {
            "PATH": os.environ["PATH"],
            "XDG_CACHE_HOME": str(cache_dir().parent),
            "PYTHONPATH": str(source_root() / "src"),
            supervisor.SOCKET: name,
            supervisor.JOURNAL: f"{its.st_dev}:{its.st_ino}",
            "LISTEN_FDS": "1",
            "WATCHDOG_USEC": "1000",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nearmetal", "serve", *words],
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=end,
            stderr=end,
        )
        os.close(end)

    def told(self, wanted: str) -> dict[str, str]:
        """Return the next datagram that has this word."""
        while True:
            found = dict(
                line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines()
            )
            if wanted in found:
                return found

    def ends(self) -> list[str]:
        """Wait for the end, with exit code 0; return the log."""
        said = self.log.read().splitlines()
        assert self.process.wait(tool.LONG_S) == 0, said
        return said

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()
        self._socket.close()


@contextmanager
def managed(*words: str, listens: bool = True) -> Iterator[Manager]:
    made = Manager(*words, listens=listens)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("rung", ["host-mmsg", "host-py", "ukp-netdev"])
def test_it_is_told_once_the_server_answers(rung: str) -> None:
    """The first request after READY is answered: a set is sent only once (kv/client.py)."""
    words = [rung]
    if rung == "ukp-netdev":
        if (reason := tried.tap_why_not()) is not None:
            pytest.skip(reason)
    else:
        words += ["--listen", "127.0.0.1:0"]
    with managed(*words) as manager:
        ready = manager.told("READY")
        assert ready["READY"] == "1"
        found = re.fullmatch(
            rf"{rung} serves on ([\d.]+):(\d+), pid \d+; sources allowed: .+", ready["STATUS"]
        )
        assert found, ready
        with Client(found[1], int(found[2]), timeout_s=tool.LONG_S) as client:
            client.set("greeting", b"hello")
        manager.process.send_signal(signal.SIGTERM)
        assert manager.told("STOPPING") == {"STOPPING": "1"}
        first, last = manager.ends()
    assert first == f"<6>{ready['STATUS']}"
    assert last.startswith(f"<6>{rung} ended: 1 of ")


def test_children_get_nothing_of_the_manager() -> None:
    with managed("host-mmsg", "--listen", "127.0.0.1:0") as manager:
        manager.told("READY")
        below = tool.descendants(manager.process.pid)
        assert below
        for child in below:
            known = child.environ()
            assert not [name for name in known if name.startswith(("NOTIFY", "WATCHDOG", "LISTEN"))]
            assert supervisor.JOURNAL not in known


def test_a_manager_that_does_not_listen_is_one_line() -> None:
    with managed("host-mmsg", "--listen", "127.0.0.1:0", listens=False) as manager:
        said = [manager.log.readline() for _ in range(2)]
        manager.process.send_signal(signal.SIGTERM)
        last = manager.ends()
    assert said[0].startswith("<6>host-mmsg serves on ")
    assert re.fullmatch(
        r"<4>NOTIFY_SOCKET=@\w+: cannot notify the manager: Connection refused\n", said[1]
    )
    assert len(last) == 1 and last[0].startswith("<6>host-mmsg ended: ")


def test_a_mistake_is_an_error_in_the_log_and_exit_2() -> None:
    with managed("host-mmsg", "--listen", "0.0.0.0:0") as manager:
        said = manager.log.read().splitlines()
        assert manager.process.wait(tool.LONG_S) == 2
    assert len(said) == 1 and said[0].startswith("<3>") and "--allow" in said[0]
