"""What nm-load does beside measuring: outlive a target, take what it finds, refuse bad input."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from nearmetal.build import build

KEYS = ["--keys", "2000"]


def test_it_outlives_its_target_and_counts_every_request() -> None:
    events: list[dict[str, Any]] = []
    with server("nm-mmsg-kv") as (first, address):
        options = [*KEYS, "--warmup", "0", "--time", "0", "--stay"]
        with load("--target", address, *options) as generator:
            assert generator.stdout is not None
            for line in generator.stdout:
                events.append(json.loads(line))
                names = [event["event"] for event in events]
                if names == ["ready", "preloaded", "verified", "measuring", "second"]:
                    first.kill()
                    first.wait()
                if names[-1] == "down":
                    break
            with server("nm-mmsg-kv", address):
                for line in generator.stdout:
                    events.append(json.loads(line))
                    if events[-1]["event"] == "second":
                        generator.send_signal(signal.SIGTERM)
    names = [event["event"] for event in events]
    assert names[names.index("down") :][:5] == ["down", "up", "preloaded", "verified", "measuring"]
    result = events[-1]
    assert result["event"] == "result" and generator.returncode == 0
    assert result["lost"] > 0 and result["wrong"] == 0
    assert result["sent"] == result["answered"] + result["lost"] == result["gets"] + result["sets"]
    assert sum(count for _, count in result["latency"]) == result["answered"]


def test_without_preload_it_takes_the_versions_it_finds() -> None:
    options = [*KEYS, "--warmup", "0", "--time", "0.2", "--set", "0.5", "--get", "0.5"]
    with server("nm-sock-kv") as (_, address):
        empty = run("--target", address, "--no-preload", *options)
        stored = run("--target", address, "--no-preload", *options)
    assert event(empty, "verified")["unexpected_miss"] == 2000
    assert event(stored, "verified")["unexpected_miss"] < 2000
    for events in (empty, stored):
        result = event(events, "result")
        assert result["answered"] > 0
        assert result["wrong"] == result["lost"] == 0
        assert result["sent"] == result["answered"]


def test_echo_over_ipv6_has_no_preload() -> None:
    with server("nm-mmsg-echo", "[::1]:0") as (_, address):
        events = run(
            "--target", address, "--service", "echo", *KEYS, "--warmup", "0", "--time", "0.2"
        )
    assert [entry["event"] for entry in events][:2] == ["ready", "measuring"]
    result = event(events, "result")
    assert result["answered"] == result["sent"] > 0


def test_a_kv_store_is_no_echo() -> None:
    with server("nm-mmsg-kv") as (_, address):
        events = run(
            "--target", address, "--service", "echo", *KEYS, "--warmup", "0", "--time", "0.2"
        )
    result = event(events, "result")
    assert result["answered"] == 0
    assert result["wrong"] == result["sent"] > 0


def test_the_first_answer_is_told() -> None:
    with server("nm-mmsg-kv") as (_, address):
        (answer,) = run("--target", address, "--first-answer")
    assert answer["event"] == "first_answer" and answer["monotonic_ns"] > 0


def test_it_awaits_the_first_answer_and_goes_on() -> None:
    with server("nm-mmsg-kv") as (_, address):
        events = run("--target", address, "--await", *KEYS, "--warmup", "0", "--time", "0.2")
    assert [entry["event"] for entry in events][:3] == ["ready", "first_answer", "preloaded"]
    result = event(events, "result")
    assert result["answered"] == result["sent"] > 0


def test_a_store_that_is_too_small_shows_as_misses() -> None:
    options = ["--keys", "200000", "--warmup", "0", "--time", "0.2"]
    with server("nm-mmsg-kv", memory="1MiB") as (_, address):
        events = run("--target", address, *options)
    assert event(events, "verified")["unexpected_miss"] > 0
    assert event(events, "result")["unexpected_miss"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--keys", "10"], "--target ADDR:PORT is missing"),
        (["--target", "127.0.0.1"], "ADDR:PORT"),
        (["--target", "127.0.0.1:99999"], "port"),
        (["--target", "127.0.0.1:1", "--key-bytes", "251"], "--key-bytes"),
        (["--target", "127.0.0.1:1", "--value-bytes", "1390"], "1,400"),
        (["--target", "127.0.0.1:1", "--set", "0.5"], "add up to 1"),
        (["--target", "127.0.0.1:1", "--zipf", "nan"], "--zipf"),
        (["--target", "127.0.0.1:1", "--bogus"], "--bogus"),
        (["--target", "127.0.0.1:1", "--source", "10.0.0.1"], "nm-load-vhost"),
        (["--target", "127.0.0.1:1", "--target-mac", "02:00"], "Ethernet address"),
        (["--target", "127.0.0.1:1", "--", "-l", "1"], "no arguments"),
    ],
)
def test_bad_input_draws_one_line(options: list[str], said: str) -> None:
    done = subprocess.run(
        [program("nm-load"), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and said in done.stderr
    assert done.stdout == ""


def program(name: str) -> str:
    """A program of the test build, which has the sanitizers in."""
    return build([name], variant="sanitize").programs[name].path


@contextmanager
def server(
    name: str, listen: str = "127.0.0.1:0", memory: str = "64MiB"
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running server and its address."""
    command = [program(name), "--listen", listen, "--memory", memory]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["listen"]
        finally:
            process.terminate()


@contextmanager
def load(*options: str) -> Iterator[subprocess.Popen[str]]:
    """A running generator; it is gone by the end."""
    with subprocess.Popen(
        [program("nm-load"), *options], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
            process.wait()
        finally:
            process.terminate()


def run(*options: str) -> list[dict[str, Any]]:
    """Everything that the generator says until it ends."""
    done = subprocess.run(
        [program("nm-load"), *options], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def event(events: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in events if entry["event"] == name]
    return found
