"""Messages of `load`: on evictions, long waits and narrow terminals; and its default load fits the
default memory of `serve`."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from typer.main import get_command

from nearmetal.commands import evictions
from nearmetal.commands.cli import app
from nearmetal.commands.evictions import Told, evicted, in_words
from nearmetal.commands.load import _WORKLOADS, Options, _asked
from nearmetal.commands.load_words import at, describe
from nearmetal.samples import Point
from nearmetal.spec import own_service
from nearmetal.spec.experiment import needed_bytes

SECOND: dict[str, Any] = {
    "event": "second",
    "duration_ns": 10**9,
    "sent": 1000,
    "answered": 990,
    "wrong": 10,
    "unexpected_miss": 10,
    "lost": 0,
    "latency": [[10_000, 990]],
    "over_1s": 0,
    "cycles": {"receive": 25, "empty": 25, "check": 25, "send": 25},
}


def default_of(command: str, option: str) -> Any:
    whole: Any = get_command(app)
    return next(each.default for each in whole.commands[command].params if each.name == option)


@pytest.mark.parametrize("rung", ["host-mmsg", "memcached"])
def test_what_load_stores_unasked_fits_what_serve_has_unasked(rung: str) -> None:
    """With twice the memory, as for a trial's server; memcached has 64 MiB, too."""
    workload = _WORKLOADS[default_of("load", "workload")]
    assert 2 * needed_bytes(workload, rung) <= own_service.MEMORY_BYTES_MIN
    assert default_of("serve", "memory") is None


def test_a_key_that_is_not_there_is_missing_and_not_wrong() -> None:
    assert "wrong 0  missing 10" in describe(SECOND)
    assert "wrong 2  missing 10" in describe({**SECOND, "wrong": 12})
    assert "missing" not in describe({**SECOND, "wrong": 0, "unexpected_miss": 0})
    read_back = {"event": "verified", "wrong": 5, "unexpected_miss": 5, "lost": 0}
    assert describe(read_back) == "read them back: lost 0  wrong 0  missing 5"


@pytest.mark.parametrize("width", [None, 80, 40])
def test_rate_and_faults_stay_where_it_is_narrow(width: int | None) -> None:
    said = describe(SECOND, width), at(Point(window=4), {**SECOND, "event": "result"}, width)
    for words in said:
        assert "990 replies/s" in words
        assert "wrong 0" in words
    assert len(said[0]) <= (width or 200) + 10  # "missing" is never left out
    assert len(describe({**SECOND, "wrong": 0, "unexpected_miss": 0}, width)) <= (width or 200)


def test_waits_beyond_the_histogram_have_a_sign() -> None:
    event = {**SECOND, "latency": [[10_000, 900], [1_000_000_000, 90]], "over_1s": 90}
    words = describe(event)
    assert re.search(r"p50 +10\.0 us", words)
    assert re.search(r"p99 +> 1 s", words)


def test_the_server_tells_whether_it_evicted() -> None:
    before, after = Told(5, 64 << 20), Told(105, 64 << 20)
    assert evicted(before, after) == 100
    assert evicted(Told(500, None), after) == 105  # the server was restarted
    assert evicted(None, after) == 105
    assert evicted(before, None) is None
    standard = _WORKLOADS["standard"]
    said = in_words(90, 100, after, standard)
    assert said.startswith("the server evicted 100 items: it has 64 MiB and needs about 134 MiB")
    assert "serve --memory 134MiB" in said and "wrong" not in said
    assert "it lost them" in in_words(90, 0, after, standard)
    assert "does not answer `stats`" in in_words(90, None, None, standard)


def test_the_counters_are_those_of_the_target() -> None:
    """Any server that speaks the protocol is read; here one in Python."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        port = udp.getsockname()[1]

        def answer() -> None:
            asked, whom = udp.recvfrom(2000)
            said = b"STAT evictions 7\r\nSTAT limit_maxbytes 1048576\r\nEND\r\n"
            udp.sendto(asked[:2] + b"\0\0\0\1\0\0" + said, whom)

        teller = threading.Thread(target=answer)
        teller.start()
        assert evictions.asked(f"127.0.0.1:{port}") == Told(7, 1 << 20)
        teller.join()
    assert evictions.asked(f"127.0.0.1:{port}") is None  # the server has ended


def test_load_runs_until_it_is_stopped_unless_it_says_otherwise() -> None:
    options = Options("127.0.0.1:1", None, "light", None, None, False)
    asked = _asked(options, Point(), 0.0)
    assert asked[asked.index("--time") + 1] == "0"
