"""Tests that need a running program: amplification, IPv6, wildcard addresses, a foreign client."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from targets import (
    ON_FRAMES,
    ON_SOCKETS,
    OPEN,
    OURS,
    Program,
    Sockets,
    Tools,
    fits,
    open_framed,
    open_target,
)

from nearmetal.kv.client import Client
from nearmetal.kv.corpus import CASES, GUARDED, Guard, check_case, quick, quick_corpus
from nearmetal.kv.corpus.case import FRAME

ANYONE = Guard(allow=("0.0.0.0/0", "::/0"), admin=("127.0.0.0/8",), trusted=("127.0.0.0/8",))


@pytest.fixture(scope="module")
def tools(programs: Callable[[str], Path], third_party: Callable[[str], list[str]]) -> Tools:
    return Tools(programs, third_party)


def _each(rungs: tuple[str, ...]) -> pytest.MarkDecorator:
    params = [pytest.param(rung, id=rung, marks=pytest.mark.rung(rung)) for rung in rungs]
    return pytest.mark.parametrize("rung", params)


@_each(OURS)
def test_a_stranger_draws_at_most_three_times(rung: str, tools: Tools) -> None:
    """15 bytes of stats, 93 of a repeated key, and more, from sources that are not trusted."""
    key = b"k" * 39
    questions = [
        b"stats\r\n",
        b"get " + key + b" " + key + b"\r\n",
        b"get" + b" k" * 30_000 + b"\r\n",
        b"\n" * 5000,
        b"gets k k\r\n" * 20,
        b"get k\r\nversion\r\nverbosity 1\r\nget k\r\n",
        b"gets k" + b" k" * 700 + b"\r\n",
    ]
    assert (len(FRAME + questions[0]), len(FRAME + questions[1])) == (15, 93)
    with closing(open_target(rung, tools, GUARDED)) as target:
        for one in (b"k", key):
            for command in [b"set"] + [b"append"] * 19:
                body = b"%b %b 0 0 1000\r\n" % (command, one) + b"v" * 1000 + b"\r\n"
                stored = target.ask(FRAME + body, "127.0.0.1")
                assert stored == [FRAME[:2] + b"\0\0\0\1\0\0STORED\r\n"]
        for source in ("127.0.0.3", "127.0.0.5"):
            for question in questions:
                if not fits(rung, len(FRAME + question)):
                    continue
                answer = target.ask(FRAME + question, source)
                assert answer, question[:40]
                assert sum(map(len, answer)) <= 3 * len(FRAME + question), question[:40]


@_each(ON_SOCKETS)
def test_ipv6(rung: str, tools: Tools) -> None:
    with closing(open_target(rung, tools, host="::1")) as target:
        assert isinstance(target, Program)
        assert target.ready["listen"].startswith("[::1]:")
        assert quick_corpus("memcached", "::1", target.port) is None


@_each(ON_SOCKETS)
def test_replies_leave_from_the_address_that_was_asked(rung: str, tools: Tools) -> None:
    """A connected socket accepts datagrams only from the address that it asked."""
    with started(rung, tools, "0.0.0.0") as target:
        for host in ("127.0.0.1", "127.7.7.7"):
            with closing(Sockets(host, target.port)) as sockets:
                check_case(sockets, CASES[0])
    with started(rung, tools, "::") as target:
        for host in ("::1", "127.7.7.7"):
            with closing(Sockets(host, target.port)) as sockets:
                check_case(sockets, CASES[0])


@contextmanager
def started(rung: str, tools: Tools, host: str) -> Iterator[Program]:
    """Start a target on a wildcard address, without its own sockets: they cannot connect to it."""
    target = open_target(rung, tools, ANYONE, host)
    assert isinstance(target, Program)
    with closing(target):
        yield target


@_each(ON_SOCKETS)
def test_client(rung: str, tools: Tools) -> None:
    with closing(open_target(rung, tools)) as target, closing(_client(target)) as client:
        client.set("greeting", b"hello" * 5000)
        assert client.get("greeting") == b"hello" * 5000
        assert client.stats()["curr_items"] == "1"


def _client(target: object) -> Client:
    assert isinstance(target, Program)
    return Client("127.0.0.1", target.port, timeout_s=30)


@_each(ON_SOCKETS)
def test_echo(rung: str, tools: Tools) -> None:
    with closing(open_target(rung, tools, OPEN, service="echo")) as target:
        assert isinstance(target, Program)
        assert quick_corpus("bytes", "127.0.0.1", target.port) is None


@_each(ON_FRAMES)
def test_echo_of_frames(rung: str, tools: Tools) -> None:
    with closing(open_framed(rung, tools, OPEN, "echo")) as target:
        assert quick("bytes", target.host) is None


@_each(("host-mmsg",))
def test_quick_corpus_names_the_case(rung: str, tools: Tools) -> None:
    with closing(open_target(rung, tools, OPEN, service="echo")) as target:
        assert isinstance(target, Program)
        wrong = quick_corpus("memcached", "127.0.0.1", target.port)
    assert wrong is not None
    assert f"corpus case {CASES[0].name}" in wrong


@_each(("host-mmsg",))
def test_memcaslap(rung: str, tools: Tools, is_long: bool) -> None:
    """A third-party client that verifies what it reads: nothing lost, late, or wrong."""
    seconds = 10 if is_long else 2
    command = tools.third_party("memcaslap")
    with closing(open_target(rung, tools)) as target:
        assert isinstance(target, Program)
        command += ["-s", f"127.0.0.1:{target.port}", "-U", "-T", "1", "-c", "16"]
        command += ["-t", f"{seconds}s", "-v", "1.0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    counts = {name: int(count) for name, count in re.findall(r"^(\w+): (\d+)$", output, re.M)}
    assert counts["cmd_get"] > 0
    assert counts["cmd_set"] > 0
    # Misses are expected: its windows of 10,000 keys per connection exceed 64 MiB.
    bad = ("verify_failed", "packet_disorder", "packet_drop", "udp_timeout")
    assert {name: counts[name] for name in bad} == dict.fromkeys(bad, 0)
