"""serve and load as a user starts them: a set, a get, the final counts, a busy port, metrics."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nearmetal.build import describe_program
from nearmetal.errors import CannotRunError
from nearmetal.rungs import RUNGS
from nearmetal.setup import files

OURS = [rung.name for rung in RUNGS if rung.place == "host"]
NEARMETAL = [sys.executable, "-m", "nearmetal"]


class Served:
    """A running `serve`."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address

    def ask(self, text: bytes) -> bytes:
        host, port = self.address.rsplit(":", 1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(10)
            udp.sendto(b"\0\1\0\0\0\1\0\0" + text, (host, int(port)))
            return udp.recv(2000)[8:]

    def stop(self) -> dict[str, Any]:
        """SIGTERM; the final counts."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        final: dict[str, Any] = json.loads(out.splitlines()[-1])
        return final


@contextmanager
def serving(rung: str, *words: str) -> Iterator[Served]:
    command = [*NEARMETAL, "serve", rung, "--listen", "127.0.0.1:0", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r" on (\S+), pid", line)
            assert found is not None, line + process.stderr.read()
            yield Served(process, found.group(1))
        finally:
            process.terminate()


@pytest.mark.parametrize("rung", [pytest.param(r, marks=pytest.mark.rung(r)) for r in OURS])
def test_a_set_a_get_and_the_final_counts(rung: str) -> None:
    with serving(rung) as served:
        assert served.ask(b"set greeting 0 0 5\r\nhello\r\n") == b"STORED\r\n"
        assert served.ask(b"get greeting\r\n") == b"VALUE greeting 0 5\r\nhello\r\nEND\r\n"
        long_key = b"k" * 251
        assert served.ask(b"get " + long_key + b"\r\n").startswith(b"CLIENT_ERROR")
        final = served.stop()
    assert final["event"] == "final"
    assert final["received"] == 3 == sum(final["drops"].values())
    assert final["replies"] == 3


def test_a_busy_port_is_one_line() -> None:
    with serving("host-sock") as served:
        done = refused("--listen", served.address)
    assert "in use" in done


def test_too_little_memory_is_one_line() -> None:
    assert "memory" in refused("--memory", "10")


def test_a_wider_listen_wants_an_allow_list() -> None:
    assert "--allow" in refused("--listen", "0.0.0.0:0")


def refused(*words: str) -> str:
    done = subprocess.run(
        [*NEARMETAL, "serve", "host-sock", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode in (1, 2), done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_metrics_count_what_was_asked() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{free.getsockname()[1]}"
    with serving("host-mmsg", "--metrics", where) as served:
        served.ask(b"set a 0 0 1\r\n1\r\n")
        deadline = time.monotonic() + 30
        text = ""
        while "nearmetal_received_total 1.0" not in text:
            assert time.monotonic() < deadline, text
            with urllib.request.urlopen(f"http://{where}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            time.sleep(0.1)  # the program says its counters once a second
    assert 'nearmetal_ended_total{reason="answered"} 1.0' in text
    assert "nearmetal_items 1.0" in text


def test_load_drives_it_and_finds_nothing_wrong() -> None:
    with serving("host-mmsg") as served:
        done = subprocess.run(
            [*NEARMETAL, "load", served.address, "--workload", "smoke", "--for", "2s", "--json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        final = served.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names.index("preloaded") < names.index("verified") < names.index("second")
    assert sum(event["answered"] for event in events if event["event"] == "second") > 0
    assert final["set"] >= 1000


def test_memcaslap_is_content_with_us() -> None:
    try:
        path, library_path = files.provide("memcaslap")
    except CannotRunError as error:
        pytest.skip(str(error))
    argv = describe_program(path, library_path).argv()
    with serving("host-mmsg", "--memory", "256MiB") as served:
        done = subprocess.run(
            [*argv, "-s", served.address, "-U", "-T", "1", "-c", "16", "-t", "3s", "-v", "1.0"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("packet_disorder", "packet_drop", "udp_timeout", "verify_failed"):
        found = re.search(rf"{name}: (\d+)", done.stdout)
        assert found is None or found.group(1) == "0", done.stdout
    assert re.search(r"cmd_get: [1-9]", done.stdout), done.stdout
