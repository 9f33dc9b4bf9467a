"""The host of frames, on a wire with an endless stream of frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import babble
from nearmetal.errors import NearmetalError
from nearmetal.kv.corpus.case import FRAME
from nearmetal.machine.links import frame_host, frames
from nearmetal.machine.links.frame_host import Host
from nearmetal.machine.links.frames import Ends

SERVER, PORT, MAC = "10.0.0.100", 11211, b"\2\0\0\0\0\x64"
BACK = Ends(MAC, frame_host.MAC, SERVER, frame_host.BASE)


def arp_questions(_: bytes) -> Iterator[bytes]:
    asked = Ends(MAC, frames.BROADCAST, SERVER, frame_host.BASE)
    return itertools.repeat(frames.arp(asked, frames.ARP_REQUEST))


def known_then(*behind: bytes) -> babble.Source:
    """Send the right answer to ARP, then these frames without end."""
    known = frames.arp(BACK, frames.ARP_REPLY)
    return lambda _: itertools.chain([known], itertools.cycle(behind))


def answer(number: int) -> bytes:
    return frames.udp(BACK, PORT, 40_000, number.to_bytes(2, "big") + b"\0\0\0\1\0\0END\r\n")


@pytest.mark.parametrize(
    "source",
    [
        babble.empty,
        babble.noise,
        arp_questions,
        known_then(next(arp_questions(b""))),
        known_then(answer(0)),
        known_then(answer(0x7777)),
    ],
    ids=["empty", "noise", "arp", "arp of a server", "one answer again", "another's answer"],
)
def test_a_question_comes_to_an_end(
    source: babble.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_host, "ANSWER_S", 1.0)
    path = tmp_path / "wire"
    with (
        babble.unix(path, source),
        Host(path, SERVER, PORT) as host,
        pytest.raises(NearmetalError),
    ):
        host.ask(FRAME + b"get a\r\n", "127.0.0.1")


def test_answers_that_keep_coming_gain_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_host, "WINDOW_S", 0.5)
    monkeypatch.setattr(frame_host, "_DATAGRAMS_MAX", 1 << 30)
    path = tmp_path / "wire"
    with (
        babble.unix(path, known_then(answer(0))),
        Host(path, SERVER, PORT) as host,
        # The second where other load keeps the sender from its core.
        pytest.raises(NearmetalError, match=r"no end of answers|no answer in"),
    ):
        host.ask(FRAME + b"get a\r\n", "127.0.0.1")
