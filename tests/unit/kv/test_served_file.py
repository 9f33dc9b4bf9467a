"""A user's service behind the socket of the rung host-py."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from nearmetal.errors import NearmetalError
from nearmetal.kv.admission import EVERYTHING, Rights
from nearmetal.kv.served import served
from nearmetal.kv.server_options import parse
from nearmetal.paths import source_root
from nearmetal.service import faults
from nearmetal.service.corpus import check, corpus
from nearmetal.service.load import load

COMMAND = [sys.executable, "-m", "nearmetal.kv.server", "--listen", "127.0.0.1:0", "--service"]
FAULTY = """
from nearmetal.service import *
class S(State):
    hits = i64()
service = Service("faulty", port=7000, state=S, counters=("hits",), drops=("no",))
def answer(request, reply, state, source, now_ns):
    state.hits += 1
    if request[0] == 0x6C:
        while True:
            state.hits += 1
    if request[0] == 0x6E:
        return -1
    return request[7]
"""


def start(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def connected(server: subprocess.Popen[str], udp: socket.socket) -> dict[str, object]:
    assert server.stdout is not None
    ready: dict[str, object] = json.loads(server.stdout.readline())
    host, _, port = str(ready["listen"]).rpartition(":")
    udp.connect((host, int(port)))
    udp.settimeout(10)
    return ready


@pytest.mark.parametrize("name", ["hello", "mirror", "seen"])
def test_it_passes_its_corpus_over_a_socket(name: str) -> None:
    path = source_root() / "examples" / f"{name}.py"
    one = load(path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, start(path) as server:
        assert connected(server, udp)["service"] == name

        def exchange(requests: Sequence[bytes]) -> bytes:
            for request in requests:
                udp.send(request)
            try:
                return udp.recv(2000)
            except TimeoutError:
                raise NearmetalError("no answer") from None

        cases = corpus(one, trusted=True)
        assert check(cases, exchange) is None
        server.send_signal(signal.SIGTERM)
        assert server.stdout is not None
        final = json.loads(server.stdout.readlines()[-1])
    assert server.returncode == 0
    assert final["received"] == len(cases)
    assert list(final["drops"])[-len(one.service.drop_words) :] == list(one.service.drop_words)
    assert all(each in final for each in one.service.gauges + one.service.counters)


def test_faults_are_drops_and_the_first_is_named(tmp_path: Path) -> None:
    path = tmp_path / "faulty.py"
    path.write_text(FAULTY)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, start(path) as server:
        connected(server, udp)
        for request in (b"a", b"b", b"n", b"1234567\0", b"", b"7654321\x01"):
            udp.send(request)
        assert udp.recv(100) == b"\0"
        server.send_signal(signal.SIGTERM)
        assert server.stdout is not None
        final = json.loads(server.stdout.readlines()[-1])
    drops = {name: count for name, count in final["drops"].items() if count}
    assert drops == {"answered": 1, "quiet": 1, "short": 1, "no": 1, "index_error": 2}
    assert final["hits"] == 5
    place = {"word": "index_error", "file": "faulty.py", "line": 13}
    assert final["faults"] == [place | {"what": "IndexError: index out of range"}]
    said = "first index_error: faulty.py, line 13 (IndexError: index out of range)"
    assert faults.in_words(final) == said


def test_an_answer_that_never_ends_ends_the_server(tmp_path: Path) -> None:
    path = tmp_path / "faulty.py"
    path.write_text(FAULTY)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, start(path) as server:
        connected(server, udp)
        udp.send(b"l")
        _, said = server.communicate(timeout=60)
    assert server.returncode == 1
    assert (
        said.startswith(f"nm-py: {path}:")
        and ": answer did not come back for a second; the request had 1 byte: 6c\n" in said
    )
    assert said.count("\n") == 1


def test_a_wrong_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    path.write_text("x = \n")
    with start(path) as server:
        _, said = server.communicate(timeout=60)
    assert (server.returncode, said) == (2, f"nm-py: {path}:1: invalid syntax\n")


def test_rights_and_the_source_reach_it(tmp_path: Path) -> None:
    path = tmp_path / "where.py"
    path.write_text(
        "from nearmetal.service import *\nservice = Service('where', port=7000)\n"
        "def answer(request, reply, state, source, now_ns):\n"
        "    store16(reply, copy(reply, 0, source.addr, 0, 16), source.port)\n"
        "    return len(reply)\n"
    )
    one = served(parse(["--service", str(path)]), 0)
    reply = one.handle(bytes(7), ("10.1.2.3", 258), 0, EVERYTHING).datagrams[0]
    assert len(reply) == 1400
    assert reply[:18] == bytes(10) + b"\xff\xff\x0a\x01\x02\x03\x01\x02"
    untrusted = Rights(allowed=True, admin=False, trusted=False)
    (reply,) = one.handle(bytes(7), ("fe80::1%lo", 1), 0, untrusted).datagrams
    assert (len(reply), reply[:2], reply[15]) == (21, b"\xfe\x80", 1)
    nothing = Rights(allowed=False, admin=False, trusted=False)
    assert one.handle(bytes(7), ("10.1.2.3", 1), 0, nothing) == ([], "source")
    assert one.handle(b"", ("10.1.2.3", 1), 0, nothing) == ([], "short")


def test_arguments_reach_init() -> None:
    path = source_root() / "examples" / "seen.py"
    one = served(parse(["--service", str(path), "--service-arg", "most=1"]), 0)
    request = b"\0\0+node0001"
    replies = [one.handle(request, ("127.0.0.1", 1), 0, EVERYTHING) for _ in range(2)]
    assert {reply.datagrams[0][-4:] for reply in replies} == {b"\0\0\0\1"}
