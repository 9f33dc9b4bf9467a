"""Every signal that ends `serve` makes it print its counts and undo its changes; nohup works."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import tool

LISTEN = ("--listen", "127.0.0.1:0")
OTHERS = [signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU, signal.SIGALRM, signal.SIGUSR2]

pytestmark = pytest.mark.timeout(tool.RUN_S)


def ends(served: tool.Served, number: signal.Signals) -> None:
    """Check the end by a signal: final counts, and a shell's exit code."""
    served.process.send_signal(number)
    out, err = served.process.communicate(timeout=tool.LONG_S)
    assert served.process.returncode == 128 + number, err
    assert json.loads(out.splitlines()[-1])["event"] == "final"
    assert "Traceback" not in err


@pytest.mark.parametrize("number", OTHERS, ids=lambda number: number.name)
def test_serve_ends_with_its_counts(number: signal.Signals) -> None:
    with tool.serving("host-mmsg", *LISTEN) as served:
        family = served.family()
        ends(served, number)
    tool.gone(*family)


def test_serve_undoes_its_tap_device() -> None:
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        pytest.skip("needs root and /dev/net/tun: makes a tap device")
    with tool.serving("ukp-netdev") as served:
        family, link = served.family(), served.link("tap")
        assert link.exists()
        ends(served, signal.SIGHUP)
    tool.gone(*family)
    assert not link.exists()


def test_serve_ends_with_its_terminal() -> None:
    """The last output is lost; serve still undoes its changes, and exits with a shell's code."""
    terminal, theirs = pty.openpty()
    # A new session, whose controlling terminal is the one that it opens.
    take = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(theirs)]
    argv = [*take, *tool.NEARMETAL, "serve", "host-mmsg", "--json", *LISTEN]
    with subprocess.Popen(argv, start_new_session=True) as process:
        try:
            said = b""
            while b'"ready"' not in said:
                said += os.read(terminal, 1 << 16)
            family = tool.descendants(process.pid)
            os.close(theirs)
            os.close(terminal)
            process.wait(timeout=tool.LONG_S)
        finally:
            process.kill()
    assert process.returncode == 128 + signal.SIGHUP
    tool.gone(*family)


@pytest.fixture
def nohup() -> Iterator[None]:
    """Ignore SIGHUP, here and in started programs."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("nohup")
def test_serve_under_nohup_outlives_its_terminal() -> None:
    with tool.serving("host-mmsg", *LISTEN) as served:
        served.process.send_signal(signal.SIGHUP)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(tool.LONG_S)
            udp.sendto(b"\0\1\0\0\0\1\0\0get a\r\n", (served.host, served.port))
            assert udp.recv(2000)[8:] == b"END\r\n"
        assert served.stop()["event"] == "final"
