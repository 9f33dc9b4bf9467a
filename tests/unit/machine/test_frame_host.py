"""The host of frames, with a server of frames in a thread: the model behind a socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nearmetal.errors import NearmetalError
from nearmetal.kv.admission import admission
from nearmetal.kv.corpus import CASES, GUARDED, check_case, quick
from nearmetal.kv.corpus.case import FRAME
from nearmetal.kv.model import Model
from nearmetal.machine.links import frame_host, frames
from nearmetal.machine.links.frame_host import Host, HostError
from nearmetal.machine.links.frames import Arp, Datagram, Echo, Ends

SERVER, PORT = "10.0.0.100", 11211
MAC = b"\2\0\0\0\0\x64"
NOW_S = 1_800_000_000

Damage = Callable[[bytes], bytes]


class Server(threading.Thread):
    """Answers ARP, echo and requests, until an empty datagram arrives."""

    def __init__(self, path: Path, damage: Damage, service: str) -> None:
        super().__init__()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.model = Model(now_s=NOW_S)
        self.rights = admission(
            *(
                [text.replace("127.", "10.", 1) for text in networks]
                for networks in (GUARDED.allow, GUARDED.admin, GUARDED.trusted)
            )
        )
        self.damage = damage
        self.service = service

    def run(self) -> None:
        while True:
            frame, peer = self.socket.recvfrom(65_536)
            if not frame:
                return
            packet = frames.parse(frame)
            for reply in self.replies(packet):
                self.socket.sendto(reply, peer)

    def replies(self, packet: Arp | Datagram | Echo) -> list[bytes]:
        asked = packet.ends
        ends = Ends(MAC, asked.source_mac, SERVER, asked.source)
        if isinstance(packet, Arp):
            if packet.operation != frames.ARP_REQUEST:
                return []
            again = Ends(MAC, frames.BROADCAST, SERVER, asked.source)  # the server asks, too
            return [frames.arp(ends, frames.ARP_REPLY), frames.arp(again, frames.ARP_REQUEST)]
        if isinstance(packet, Echo):
            numbers = packet.identifier, packet.sequence
            return [frames.echo(ends, frames.ECHO_REPLY, *numbers, packet.payload)]
        answers = [packet.payload]
        if self.service == "kv":
            reply = self.model.handle(packet.payload, NOW_S, self.rights(asked.source))
            answers = reply.datagrams
        return [
            self.damage(frames.udp(ends, PORT, packet.source_port, answer)) for answer in answers
        ]

    def stop(self, path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", str(path))
        self.join()
        self.socket.close()


@contextlib.contextmanager
def asking(path: Path, damage: Damage = bytes, service: str = "kv") -> Iterator[Host]:
    server = Server(path, damage, service)
    server.start()
    with Host(path, SERVER, PORT) as host:
        try:
            yield host
        finally:
            server.stop(path)


def test_the_whole_corpus_that_fits(tmp_path: Path) -> None:
    with asking(tmp_path / "s") as host:
        fitting = [case for case in CASES if case.most_bytes <= frames.UDP_BYTES_MAX]
        for case in fitting:
            check_case(host, case)
        assert quick("memcached", host, frames.UDP_BYTES_MAX) is None
    assert host.sent["udp"] > len(CASES)
    # For each address: a request, and the answer to the server's request.
    addresses = {step.source for case in fitting for step in case.steps}
    assert host.sent["arp"] == 2 * len(addresses)


def test_who_was_silent_is_made_known_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = (FRAME + b"get a\r\n", "127.0.0.2")
    with asking(tmp_path / "s") as host:
        host.ask(*question)
        known = host.sent["arp"]
        host.ask(*question)
        assert host.sent["arp"] == known
        monkeypatch.setattr(frame_host, "SILENT_S", -1.0)
        host.ask(*question)
        assert host.sent["arp"] > known


def test_echo_and_ping(tmp_path: Path) -> None:
    with asking(tmp_path / "s", service="echo") as host:
        assert quick("bytes", host) is None
        assert host.ping(b"ping" * 100).payload == b"ping" * 100


def test_many_questions_in_order(tmp_path: Path) -> None:
    questions = []
    for number in range(200):
        questions.append((FRAME + b"set a 0 0 3\r\n%03d\r\n" % number, "127.0.0.1"))
        questions.append((FRAME + b"get a\r\n", f"127.0.0.{1 + number % 3}"))
    with asking(tmp_path / "s") as host:
        answers = host.ask_many(questions)
    for number in range(200):
        assert answers[2 * number] == [FRAME[:2] + b"\0\0\0\1\0\0STORED\r\n"]
        (got,) = answers[2 * number + 1]
        assert got == FRAME[:2] + b"\0\0\0\1\0\0VALUE a 0 3\r\n%03d\r\nEND\r\n" % number


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]), "checksum is wrong"),
        (lambda frame: frame[:40] + b"\0\0" + frame[42:], "without UDP checksum"),
        (lambda frame: b"\2\0\0\0\0\7" + frame[6:], "which is not our MAC"),
        (lambda frame: frame[:6] + b"\2\0\0\0\0\7" + frame[12:], "which is not the server"),
        (lambda frame: frame[:41], "IPv4 length"),
    ],
)
def test_a_bad_answer_is_none(damage: Damage, said: str, tmp_path: Path) -> None:
    with asking(tmp_path / "s", damage) as host, pytest.raises(NearmetalError, match=said):
        host.ask(FRAME + b"version\r\n", "127.0.0.1")


def test_silence_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_host, "ANSWER_S", 0.2)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as silent:
        silent.bind(str(path))
        with Host(path, SERVER, PORT) as host, pytest.raises(HostError, match="ARP"):
            host.server_mac()
