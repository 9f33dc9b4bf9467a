"""Generator and vhost-user front end against peers that send arbitrary data without end."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

import babble
import tool

LIMIT_S = 200.0
KEYS = ("--keys", "2000", "--warmup", "0", "--time", "0.2")
DRIP_S = 1.5  # between two bytes
DRIP_BYTES = 264  # length of the longest message: it takes minutes


def load(port: int, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [tool.sanitized_path("nm-load"), "--target", f"127.0.0.1:{port}", *KEYS, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT_S)


def test_a_preload_comes_to_an_end() -> None:
    """Several in parallel, because each waits for seconds of silence."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        ports = [stack.enter_context(babble.udp(source)) for source in babble.SOURCES]
        found = list(pool.map(load, ports))
    for done in found:
        assert done.returncode == 1, done.args
        assert done.stderr.startswith("nm-load: preload: ") and done.stderr.count("\n") == 1


def test_unmatched_datagrams_are_no_sign_of_life() -> None:
    """Datagrams that answer no request arrive often, but the target counts as down."""
    with babble.udp(babble.of_others, pause_s=0.2) as port:
        argv = [tool.sanitized_path("nm-load"), "--target", f"127.0.0.1:{port}", *KEYS, "--stay"]
        with tool.Program(argv) as generator:
            tool.until(generator, "down", LIMIT_S)


@pytest.mark.parametrize("source", [babble.cut, babble.of_others], ids=["cut", "others"])
def test_a_signal_ends_the_wait_for_silence(source: babble.Source) -> None:
    with babble.udp(source) as port:
        argv = [tool.sanitized_path("nm-load"), "--target", f"127.0.0.1:{port}", *KEYS]
        with tool.Program([*argv, "--stay", "--time", "0"]) as generator:
            tool.until(generator, "down", LIMIT_S)
            assert generator.final(LIMIT_S)["event"] == "result"


def test_a_back_end_that_drips_is_given_up(tmp_path: Path) -> None:
    """A back end that sends a byte of its answer now and then is given up: the time for the whole
    answer is counted from the request, then another connection is tried."""
    path, over, connections = tmp_path / "vhost", threading.Event(), []
    head = (1).to_bytes(4, "little") + (5).to_bytes(4, "little") + DRIP_BYTES.to_bytes(4, "little")

    def drip(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                one, _ = listener.accept()
                connections.append(one)
                with one, contextlib.suppress(OSError):
                    for byte in head + bytes(DRIP_BYTES):
                        one.sendall(bytes([byte]))
                        if len(connections) > 1 or over.wait(DRIP_S):
                            break

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        null = [tool.sanitized_path("nm-null-vhost"), "--socket", str(path)]
        with tool.Program(null) as front:
            front.expect("ready", LIMIT_S)
            tool.wait_until(lambda: len(connections) > 1, "a second attempt", LIMIT_S)
            assert front.final(LIMIT_S)["event"] == "final"
        over.set()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
            last.connect(str(path))
        thread.join()


def test_lines_are_json(tmp_path: Path) -> None:
    """The output under this load is valid JSON."""
    with babble.udp(babble.noise) as port:
        done = load(port, "--stay", "--service", "echo")
    events = [json.loads(line)["event"] for line in done.stdout.splitlines()]
    assert events[0] == "ready" and events[-1] == "result"
