"""Client and corpus against servers that send arbitrary datagrams without end."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest

import babble
from nearmetal.errors import NearmetalError
from nearmetal.kv.client import Client
from nearmetal.kv.corpus import MEMCACHED, check, quick_corpus
from nearmetal.kv.corpus.check import BYTES


@pytest.mark.parametrize("source", babble.SOURCES, ids=lambda source: source.__name__)
def test_a_client_comes_to_an_end(source: babble.Source) -> None:
    with babble.udp(source) as port, Client("127.0.0.1", port) as client:
        for ask in (lambda: client.get("a"), client.stats, lambda: client.incr("a")):
            with pytest.raises(NearmetalError):
                ask()


@pytest.mark.parametrize("source", babble.SOURCES, ids=lambda source: source.__name__)
@pytest.mark.parametrize("name", [MEMCACHED, BYTES])
def test_a_corpus_comes_to_an_end(
    source: babble.Source, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "ANSWER_S", 1.0)
    with babble.udp(source) as port:
        assert quick_corpus(name, "127.0.0.1", port) is not None


def test_datagrams_that_keep_coming_gain_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each datagram arrives in time, but the whole reply does not."""
    monkeypatch.setattr(check, "QUESTION_S", 1.0)
    with (
        babble.udp(babble.cut, pause_s=0.2) as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.connect(("127.0.0.1", port))
        with pytest.raises(check.CorpusError, match=r"no end of answers|no answer in [01] s"):
            check.Udp(udp).ask(b"\0\1\0\0\0\1\0\0get a\r\n", "127.0.0.1")


@pytest.mark.parametrize(
    "reply",
    [
        b"VALUE a 0 -15 1\r\nEND\r\n",  # points before itself
        b"VALUE a 0 99 1\r\nshort\r\nEND\r\n",
        b"VALUE a x 1 1\r\n1\r\nEND\r\n",
        b"VALUE a 0 1 " + b"1" * 5000 + b"\r\n1\r\nEND\r\n",
        b"VALUE a 0 3 1\r\n123END\r\n",
    ],
    ids=["negative", "too long", "no number", "a long number", "no end of line"],
)
def test_lengths_are_checked(reply: bytes) -> None:
    def source(question: bytes) -> Iterator[bytes]:
        return itertools.repeat(question[:2] + b"\0\0\0\1\0\0" + reply)

    with (
        babble.udp(source) as port,
        Client("127.0.0.1", port) as client,
        pytest.raises(NearmetalError),
    ):
        client.gets(["a"])


def test_a_reply_of_many_small_datagrams_has_an_end() -> None:
    """memcached answers a request of many commands with a datagram per command."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(server.getsockname())
            target = check.Udp(udp)
            small = b"\0\1\0\0\0\1\0\0END\r\n"
            for datagram in (*[small] * 1000, b"\x80\0\0\0\0\1\0\0VERSION x\r\n"):
                server.sendto(datagram, udp.getsockname())
            assert target.received(b"get a\r\n" * 1000) == [small] * 1000
