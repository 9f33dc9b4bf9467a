"""The command line of the Python datapath, and its end by a signal."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest

from nearmetal.errors import BadInputError
from nearmetal.kv import served, server_options
from nearmetal.kv.model import Model
from nearmetal.kv.server_options import parse
from nearmetal.spec import services

COMMAND = [sys.executable, "-m", "nearmetal.kv.server"]


def test_defaults() -> None:
    options = parse([])
    assert (options.host, options.port, options.memory_bytes) == ("127.0.0.1", 11211, 64 << 20)
    assert options.trusted == options.allow == ("127.0.0.0/8", "::1/128")


def test_trusted_is_as_allow() -> None:
    options = parse(["--listen", "[::]:0", "--allow", "10.0.0.0/8", "--memory", "2GiB"])
    assert options.trusted == options.allow == ("10.0.0.0/8",)
    assert options.wildcard
    assert options.memory_bytes == 2 << 30


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "localhost:1"], "not an address"),
        (["--listen", "127.0.0.1"], "not an address"),
        (["--listen", "::1:1"], "not an address"),
        (["--listen", "127.0.0.1:65536"], "not an address"),
        (["--listen", "0.0.0.0:0"], "needs --allow"),
        (["--memory", "1000"], "too small"),
        (["--memory", "1MB"], "not a size"),
        (["--memory", "2000GiB"], "more than 1 TiB"),
        (["--allow", "10.0.0.0/99"], "not a network"),
        (["--every", "x"], "not a number of seconds"),
        (["--batc", "1"], "docs/programs.md"),
        (["--service", "redis"], "must be kv or echo, or a Python file"),
        (["--service-arg", "x"], "must be NAME=VALUE"),
        (["--seed", "12"], "must be 32 hexadecimal digits"),
    ],
)
def test_one_clear_line(arguments: list[str], words: str) -> None:
    with pytest.raises(BadInputError) as raised:
        parse(arguments)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_busy_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*COMMAND, "--listen", address], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "stop the other server" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_what_is_queued(stop: signal.Signals) -> None:
    """Requests queue up while the server is stopped (SIGSTOP); it answers all before it ends."""
    command = [*COMMAND, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        host, _, port = json.loads(server.stdout.readline())["listen"].rpartition(":")
        server.send_signal(signal.SIGSTOP)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect((host, int(port)))
            for _ in range(100):
                udp.send(b"\0\1\0\0\0\1\0\0get a\r\n")
            server.send_signal(stop)
            server.send_signal(signal.SIGCONT)
            final = json.loads(server.stdout.readlines()[-1])
    assert server.returncode == 0
    assert final["event"] == "final"
    assert (final["received"], final["replies"], final["get"]) == (100, 100, 100)


def test_its_own_words_are_those_of_the_row() -> None:
    row = services.find(server_options.KV)
    assert tuple(served.kv_counters(Model(memory_bytes=1 << 20, now_s=0))) == row.counters
    assert row.drops == served.KV_DROP_NAMES


def test_counters_when_asked() -> None:
    command = [*COMMAND, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        host, _, port = json.loads(server.stdout.readline())["listen"].rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect((host, int(port)))
            udp.settimeout(10)
            udp.send(b"\0\1\0\0\0\1\0\0get a\r\n")
            udp.recv(100)
        server.send_signal(signal.SIGUSR1)
        counters = json.loads(server.stdout.readline())
        server.send_signal(signal.SIGTERM)
        assert json.loads(server.stdout.readline())["event"] == "final"
    assert (counters["event"], counters["received"], counters["get"]) == ("counters", 1, 1)
    assert server.returncode == 0
