"""The checks can fail: against a service that lies, the generator finds every lie, and no other.

The liar (tests/c/liar/liar.c) sits between serve.c and the store. It starts to lie at SIGUSR2,
which it gets when the generator says that the measured time has begun, and logs what it does. What
the generator counted must be exactly what the log says. The time-out is longer than in a trial:
here a program that the machine held up for 100 ms must not look like a lie.

The same holds on the sockets and on virtio-user, where the generator works in the server's own
buffers.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from framed import PORT, SERVER, eal, started, virtio_user, wait_for

from nearmetal import rungs
from nearmetal.build import build, why_not

TIMEOUT_MS = 400
REQUESTS = 1_000_000
KEYS = 50_000
SERVER_S = 30.0

Measure = Callable[[Path, int], dict[str, Any]]


def on_sockets(log: Path, seed: int) -> dict[str, Any]:
    """nm-mmsg-liar on loopback; joined replies must come apart right."""
    command = [program("nm-mmsg-liar"), "--listen", "127.0.0.1:0", "--memory", "64MiB"]
    with liar([*command, "--segment"], log, seed) as server:
        generator = [program("nm-load"), "--target", ready(server)["listen"]]
        with started([*generator, *options(seed)]) as load:
            return measure(server, load)


def on_vhost_user(log: Path, seed: int) -> dict[str, Any]:
    """nm-dpdk-liar on virtio-user, which connects to the generator."""
    if (reason := why_not("nm-dpdk-kv")) is not None:
        pytest.skip(reason)
    rung, socket = rungs.find("host-dpdk"), log.parent / "vhost"
    generator = [program("nm-load-vhost"), "--socket", str(socket), "--source", "10.0.0.1"]
    generator += ["--target", f"{SERVER}:{PORT}"]
    command = [program("nm-dpdk-liar"), "--listen", f"{SERVER}:{PORT}", "--memory", "64MiB"]
    command += ["--allow", "10.0.0.0/8", "--", *eal(), *virtio_user(rung, socket)]
    with started([*generator, *options(seed)]) as load:
        wait_for(socket, load)
        with liar(command, log, seed) as server:
            return measure(server, load)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "measured",
    [
        pytest.param(on_sockets, id="host-mmsg", marks=pytest.mark.rung("host-mmsg")),
        pytest.param(on_vhost_user, id="host-dpdk", marks=pytest.mark.rung("host-dpdk")),
    ],
)
def test_the_generator_finds_exactly_the_lies(measured: Measure, seed: int, tmp_path: Path) -> None:
    log = tmp_path / "lies.jsonl"
    result = measured(log, seed)
    lies = Counter(json.loads(line)["lie"] for line in log.read_text().splitlines())
    print({name: value for name, value in result.items() if name != "latency"}, lies)

    for kind in ("flip", "drop", "double", "delay", "ignore", "stale"):
        assert lies[kind] > 0, f"the liar did nothing of the kind {kind}: {lies}"
    assert result["sent"] >= REQUESTS
    assert result["sent"] == result["answered"] + result["wrong"] + result["lost"]
    assert result["wrong"] - result["stale"] == lies["flip"]
    assert result["stale"] == lies["stale"]
    assert result["lost"] == lies["drop"] + lies["delay"]
    assert result["late"] == lies["delay"]
    assert result["duplicate"] == lies["double"]
    assert result["unexpected_miss"] == 0
    assert result["unmatched"] == 0


@contextmanager
def liar(command: list[str], log: Path, seed: int) -> Iterator[subprocess.Popen[str]]:
    """A running liar; by the end it has written its log."""
    environment = {
        **os.environ,
        "NEARMETAL_LIAR_LOG": str(log),
        "NEARMETAL_LIAR_SEED": str(seed),
        "NEARMETAL_LIAR_TIMEOUT_MS": str(TIMEOUT_MS),
    }
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server
        finally:
            server.terminate()
            words, _ = server.communicate(timeout=SERVER_S)
            print(words)  # shown where the counts are not the lies


def ready(server: subprocess.Popen[str]) -> dict[str, Any]:
    assert server.stdout is not None
    line: dict[str, Any] = json.loads(server.stdout.readline())
    return line


def options(seed: int) -> list[str]:
    """What the generator is asked for, on any wire."""
    words = ["--keys", str(KEYS), "--get", "0.75", "--set", "0.2", "--miss", "0.05"]
    words += ["--window", "256", "--timeout", str(TIMEOUT_MS / 1000), "--no-overlap"]
    return [*words, "--seed", str(seed), "--warmup", "0", "--time", "0"]


def measure(server: subprocess.Popen[str], load: subprocess.Popen[str]) -> dict[str, Any]:
    """Let the generator ask until it has sent enough; returns its result."""
    event: dict[str, Any] = {}
    sent = 0
    assert load.stdout is not None
    for line in load.stdout:
        event = json.loads(line)
        if event["event"] == "measuring":
            server.send_signal(signal.SIGUSR2)
        sent += event["sent"] if event["event"] == "second" else 0
        if sent >= REQUESTS:
            load.send_signal(signal.SIGINT)
    assert load.wait() == 0
    assert event["event"] == "result"
    return event


def program(name: str) -> str:
    """A program of the test build, which has the sanitizers in."""
    return build([name], variant="sanitize").programs[name].path
