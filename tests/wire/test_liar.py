"""The checks can fail: against a service that lies, the generator finds every lie, and no other.

The liar (tests/c/liar/liar.c) sits between serve.c and the store. It starts to lie at SIGUSR2,
which it gets when the generator says that the measured time has begun, and logs what it does. What
the generator counted must be exactly what the log says. The time-out is longer than in a trial:
here a program that the machine held up for 100 ms must not look like a lie.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nearmetal.build import build

TIMEOUT_MS = 400
REQUESTS = 1_000_000
KEYS = 50_000


def test_the_generator_finds_exactly_the_lies(liar_seed: int, tmp_path: Path) -> None:
    log = tmp_path / "lies.jsonl"
    with liar(log, liar_seed) as (server, address):
        result = measure(server, address, liar_seed)
    lies = Counter(json.loads(line)["lie"] for line in log.read_text().splitlines())

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


@pytest.fixture(params=[1, 2])
def liar_seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@contextmanager
def liar(log: Path, seed: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running liar and its address; by the end it has written its log."""
    environment = {
        **os.environ,
        "NEARMETAL_LIAR_LOG": str(log),
        "NEARMETAL_LIAR_SEED": str(seed),
        "NEARMETAL_LIAR_TIMEOUT_MS": str(TIMEOUT_MS),
    }
    command = [program("nm-mmsg-liar"), "--listen", "127.0.0.1:0", "--memory", "64MiB"]
    command += ["--segment"]  # joined replies must come apart right
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server, json.loads(server.stdout.readline())["listen"]
        finally:
            server.terminate()
            server.wait(timeout=30)


def measure(server: subprocess.Popen[str], address: str, seed: int) -> dict[str, Any]:
    """Let the generator ask until it has sent enough; returns its result."""
    command = [program("nm-load"), "--target", address, "--keys", str(KEYS)]
    command += ["--get", "0.75", "--set", "0.2", "--miss", "0.05", "--seed", str(seed)]
    command += ["--window", "256", "--timeout", str(TIMEOUT_MS / 1000), "--no-overlap"]
    command += ["--warmup", "0", "--time", "0"]
    event: dict[str, Any] = {}
    sent = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout is not None
        for line in load.stdout:
            event = json.loads(line)
            if event["event"] == "measuring":
                server.send_signal(signal.SIGUSR2)
            sent += event["sent"] if event["event"] == "second" else 0
            if sent >= REQUESTS:
                load.send_signal(signal.SIGINT)
    assert load.returncode == 0
    assert event["event"] == "result"
    return event


def program(name: str) -> str:
    """A program of the test build, which has the sanitizers in."""
    return build([name], variant="sanitize").programs[name].path
