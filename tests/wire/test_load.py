"""nm-load beside measuring: it survives its target's end, adopts versions, refuses bad input."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from generator import event, lcores, load, run, server, until

from tool import sanitized_path as program

KEYS = ["--keys", "2000"]
# For tests without loss: the machine may stall both programs for longer than the usual 100 ms.
PATIENT = ["--timeout", "2"]


@pytest.mark.parametrize("threads", [1, 2])
def test_it_outlives_its_target_and_counts_every_request(threads: int) -> None:
    events: list[dict[str, Any]] = []
    with server("nm-mmsg-kv") as (first, address):
        options = [*KEYS, "--warmup", "0", "--time", "0", "--stay", *lcores(threads)]
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
    options = [*KEYS, *PATIENT, "--warmup", "0", "--time", "0.2", "--set", "0.5", "--get", "0.5"]
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
    options = [*KEYS, *PATIENT, "--warmup", "0", "--time", "0.2"]
    with server("nm-mmsg-echo", "[::1]:0") as (_, address):
        events = run("--target", address, "--service", "echo", *options)
    assert [entry["event"] for entry in events][:2] == ["ready", "measuring"]
    result = event(events, "result")
    assert result["answered"] == result["sent"] > 0


def test_a_kv_store_is_no_echo() -> None:
    with server("nm-mmsg-kv") as (_, address):
        options = [*KEYS, "--warmup", "0", "--time", "0.2", *PATIENT]
        events = run("--target", address, "--service", "echo", *options)
    result = event(events, "result")
    assert result["answered"] == 0
    assert result["wrong"] == result["sent"] > 0


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_an_open_loop_sends_what_is_due(arrivals: str) -> None:
    options = [*KEYS, "--warmup", "0", "--time", "1.5", "--window", "1024"]
    options += ["--rate", "4000", "--arrivals", arrivals]
    with server("nm-mmsg-kv") as (_, address):
        events = run("--target", address, *options)
    result = event(events, "result")
    # Random arrivals: 6 standard deviations of 6,000. The schedule begins a little after the time.
    assert abs(result["intended"] - 6000) <= (465 if arrivals == "poisson" else 100)
    assert result["intended"] == result["sent"] + result["not_sent"]
    assert result["sent"] == result["answered"] + result["lost"] and result["wrong"] == 0
    assert sum(count for _, count in result["latency"]) == result["answered"]
    # With so much room only a stall of this program can have skipped requests; it reports stalls.
    # One request can be due between the last look and the end.
    assert result["not_sent"] <= 1 or result["slips"] > 0
    seconds = [each for each in events if each["event"] == "second"]
    for name in ("intended", "sent", "not_sent", "slips"):
        assert sum(each[name] for each in seconds) == result[name]


def test_what_finds_no_room_is_not_sent() -> None:
    options = [*KEYS, "--warmup", "0", "--time", "0.5", "--window", "4", "--rate", "5000000"]
    with server("nm-mmsg-kv") as (_, address):
        result = event(run("--target", address, *options), "result")
    assert result["not_sent"] > 0 and result["answered"] > 0 and result["wrong"] == 0
    assert result["intended"] == result["sent"] + result["not_sent"]
    assert 2_000_000 < result["intended"] <= 2_500_001


def test_a_closed_loop_has_no_schedule() -> None:
    with server("nm-mmsg-kv") as (_, address):
        result = event(run("--target", address, *KEYS, "--warmup", "0", "--time", "0.1"), "result")
    assert "intended" not in result and "slipped_ns" not in result


@pytest.mark.parametrize("rate", [[], ["--rate", "2000"]], ids=["closed", "open"])
def test_two_cores_share_the_work(rate: list[str]) -> None:
    options = [
        "--keys",
        "5001",
        "--warmup",
        "0.1",
        "--window",
        "33",
        "--set",
        "0.5",
        "--get",
        "0.5",
    ]
    with server("nm-mmsg-kv") as (_, address):
        events = run("--target", address, *options, *lcores(2), "--time", "1.2", *rate)
        # Every key is stored, under the name that a single core gives it.
        again = run("--target", address, *options, "--no-preload", "--time", "0.1")
    names = ["ready", "preloaded", "verified", "measuring", "second", "draining", "result"]
    assert list(dict.fromkeys(each["event"] for each in events)) == names
    assert event(events, "preloaded")["keys"] == event(events, "verified")["keys"] == 5001
    result = event(events, "result")
    assert result["sent"] == result["answered"] + result["lost"] == result["gets"] + result["sets"]
    assert result["sent"] > 0 and result["wrong"] == 0
    assert sum(count for _, count in result["latency"]) == result["answered"]
    if rate:
        assert result["intended"] == result["sent"] + result["not_sent"] > 2000
    assert event(again, "verified")["unexpected_miss"] == event(again, "result")["wrong"] == 0


@pytest.mark.parametrize("service", ["kv", "echo"])
def test_values_have_classes_of_lengths(service: str) -> None:
    options = [*KEYS, *PATIENT, "--warmup", "0", "--time", "0.3", "--set", "0.5", "--get", "0.5"]
    options += ["--service", service, "--value-bytes", "8:0.25,33:0.5,1000:0.25"]
    with server(f"nm-mmsg-{service}") as (_, address):
        result = event(run("--target", address, "--await", *options), "result")
    assert result["answered"] == result["sent"] > 0


def test_the_first_answer_is_told() -> None:
    with server("nm-mmsg-kv") as (_, address):
        (answer,) = run("--target", address, "--first-answer")
    assert answer["event"] == "first_answer" and answer["monotonic_ns"] > 0


def test_it_awaits_the_first_answer_and_goes_on() -> None:
    with server("nm-mmsg-kv") as (_, address):
        options = [*KEYS, *PATIENT, "--warmup", "0", "--time", "0.2"]
        events = run("--target", address, "--await", *options)
    assert [entry["event"] for entry in events][:3] == ["ready", "first_answer", "preloaded"]
    result = event(events, "result")
    assert result["answered"] == result["sent"] > 0


def test_a_store_that_is_too_small_shows_as_misses() -> None:
    options = ["--keys", "200000", "--warmup", "0", "--time", "0.2"]
    with server("nm-mmsg-kv", memory="1MiB") as (_, address):
        events = run("--target", address, *options)
    assert event(events, "verified")["unexpected_miss"] > 0
    assert event(events, "result")["unexpected_miss"] > 0


def test_generators_share_the_work_and_start_together() -> None:
    options = ["--keys", "2001", "--warmup", "0.1", "--time", "0.3", "--window", "33"]
    with server("nm-mmsg-kv") as (_, address):
        asked = ["--target", address, *options]
        with load(*asked, "--share", "1/2") as one, load(*asked, "--share", "2/2") as other:
            held = [until(each, "holding") for each in (one, other)]
            for each in (one, other):
                each.send_signal(signal.SIGUSR1)
            results = [event(until(each, "result"), "result") for each in (one, other)]
        again = run("--target", address, *options, "--no-preload")
    assert [event(told, "preloaded")["keys"] for told in held] == [1000, 1001]
    assert [event(told, "ready")["window"] for told in held] == [16, 17]
    assert [event(told, "ready")["flows"] for told in held] == [8, 8]
    for result in (*results, event(again, "result")):
        assert result["sent"] == result["answered"] + result["lost"] > 0
        assert result["wrong"] == 0
    assert event(again, "verified")["unexpected_miss"] == 0  # between them they stored every key


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--keys", "10"], "--target ADDR:PORT is missing"),
        (["--target", "127.0.0.1"], "ADDR:PORT"),
        (["--target", "127.0.0.1:99999"], "port"),
        (["--target", "127.0.0.1:1", "--key-bytes", "251"], "--key-bytes"),
        (["--target", "127.0.0.1:1", "--key-bytes", "7"], "from 8 to 250"),
        (["--target", "127.0.0.1:1", "--key-bytes", "8", "--keys", "1000001"], "--key-bytes"),
        (["--target", "127.0.0.1:1", "--value-bytes", "7"], "from 8 to 1400"),
        (["--target", "127.0.0.1:1", "--stamp"], "--stamp"),
        (["--target", "127.0.0.1:1", "--source-port", "0"], "from 1 to 65535"),
        (["--target", "127.0.0.1:1", "--source-port", "65530"], "--source-port"),
        (["--target", "127.0.0.1:1", "--value-bytes", "1390"], "1,400"),
        (["--target", "127.0.0.1:1", "--value-bytes", "32:0.5,64:0.4"], "add up to 1"),
        (["--target", "127.0.0.1:1", "--value-bytes", "32:0.5,:0.5"], "--value-bytes"),
        (["--target", "127.0.0.1:1", "--value-bytes", "8:0.01," * 16 + "8:0.84"], "at most 16"),
        (["--target", "127.0.0.1:1", "--value-bytes", "8:0.5,1390:0.5"], "1,400"),
        (["--target", "127.0.0.1:1", "--set", "0.5"], "add up to 1"),
        (["--target", "127.0.0.1:1", "--zipf", "nan"], "--zipf"),
        (["--target", "127.0.0.1:1", "--bogus"], "--bogus"),
        (["--target", "127.0.0.1:1", "--rate", "1"], "--rate"),
        (["--target", "127.0.0.1:1", "--arrivals", "even"], "constant or poisson"),
        (["--target", "127.0.0.1:1", "--lcores", "0,0"], "--lcores"),
        (["--target", "127.0.0.1:1", "--lcores", "0-1"], "--lcores"),
        (["--target", "127.0.0.1:1", "--lcores", "0,1", "--window", "1"], "--lcores"),
        (["--target", "127.0.0.1:1", "--share", "0/2"], "--share"),
        (["--target", "127.0.0.1:1", "--share", "3/2"], "--share"),
        (["--target", "127.0.0.1:1", "--share", "1/65"], "--share"),
        (["--target", "127.0.0.1:1", "--share", "1/2x"], "--share"),
        (["--target", "127.0.0.1:1", "--share", "1/3", "--window", "2"], "--share"),
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


PAPER = ["--key-bytes", "8", "--value-bytes", "8", "--keys", "1000", "--get", "1", "--set", "0"]
PAPER += ["--uniform", "--flows", "1", "--window", "8", "--warmup", "0", "--time", "0.3", *PATIENT]


def test_the_paper_s_echo_is_asked_with_stamps() -> None:
    with echo() as (address, seen), free_port() as port:
        asked = ["--target", address, "--service", "echo", "--stamp", "--source-port", str(port)]
        result = event(run(*asked, *PAPER), "result")
    assert result["answered"] == result["sent"] > 100
    assert {source for source, _ in seen} == {port}
    assert {len(request) for _, request in seen} == {64 - 42}
    stamps = [request[12:20] for _, request in seen]
    assert len(set(stamps)) == len(stamps) >= result["sent"]


def test_another_request_s_stamp_is_wrong() -> None:
    with echo(lambda last, now: now[:12] + last[12:20] + now[20:]) as (address, _):
        asked = ["--target", address, "--service", "echo", "--stamp"]
        result = event(run(*asked, *PAPER), "result")
    assert result["wrong"] == result["sent"] > 100


def test_what_takes_longer_than_the_histogram_knows_is_told() -> None:
    late = threading.Event()  # never set

    def slowly(last: bytes, now: bytes) -> bytes:
        del last
        late.wait(1.1)
        return now

    with echo(slowly) as (address, _):
        asked = ["--target", address, "--service", "echo", "--window", "1", "--warmup", "0"]
        result = event(run(*asked, "--time", "0.2", "--timeout", "4"), "result")
    assert result["answered"] == result["over_1s"] == result["sent"] > 0
    assert result["lost"] == 0


def test_the_paper_s_store_is_asked_from_one_port() -> None:
    with server("nm-mmsg-kv") as (_, address), free_port() as port:
        asked = ["--target", address, "--source-port", str(port)]
        result = event(run(*asked, *PAPER), "result")
    assert result["answered"] == result["sent"] == result["gets"] > 100


def test_a_port_in_use_draws_one_line() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = str(taken.getsockname()[1])
        asked = [program("nm-load"), "--target", "127.0.0.1:1", *PAPER, "--source-port", port]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and f"port {port}: " in done.stderr


@contextmanager
def free_port() -> Iterator[int]:
    """Return a port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("0.0.0.0", 0))
        port: int = udp.getsockname()[1]
    yield port


@contextmanager
def echo(
    change: Callable[[bytes, bytes], bytes] = lambda last, now: now,
) -> Iterator[tuple[str, list[tuple[int, bytes]]]]:
    """Answer each request with itself, or with `change` of the previous request and this one."""
    seen: list[tuple[int, bytes]] = []
    over = threading.Event()

    def serve(udp: socket.socket) -> None:
        last = bytes(64)
        while not over.is_set():
            try:
                request, source = udp.recvfrom(2048)
            except TimeoutError:
                continue
            seen.append((source[1], request))
            udp.sendto(change(last, request), source)
            last = request

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(0.1)
        thread = threading.Thread(target=serve, args=[udp])
        thread.start()
        yield f"127.0.0.1:{udp.getsockname()[1]}", seen
        over.set()
        thread.join()
