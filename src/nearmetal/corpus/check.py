"""Ask the corpus of a server, and say which case it fails first.

    python -m nearmetal.corpus.check 127.0.0.1:11211 [--service echo]

Over a socket (`Udp`) or of anything that answers like one (`Target`): the model and the C library
take the same cases in tests/wire. Silence is proved without waiting: a later question on the same
socket is answered first.
"""

from __future__ import annotations

import argparse
import itertools
import re
import socket
import struct
import sys
import time
from typing import Protocol

from nearmetal.corpus import CASES, Case
from nearmetal.corpus.case import ALL_RIGHTS, FRAME, masked
from nearmetal.errors import NearmetalError
from nearmetal.protocol import BODY_BYTES, FRAME_BYTES

ANSWER_S = 1.0  # longest wait for one datagram on an idle machine, many times over
QUICK_S = 5.0


class CorpusError(NearmetalError):
    """A server answers a case wrongly. The message names the case."""


class Target(Protocol):
    """Something that answers datagrams: all reply datagrams of one request, in order."""

    def ask(self, datagram: bytes, source: str) -> list[bytes]: ...


def quick_corpus(udp: socket.socket, service: str = "kv") -> int:
    """Ask every case that needs no special source through a connected UDP socket; how many.

    Leaves the store empty. CorpusError names the first case that fails, or says that the server
    needs longer than QUICK_S for all of them.
    """
    target = Udp(udp)
    if service == "echo":
        _check_echo(target)
        return 1
    started = time.monotonic()
    cases = [one for one in CASES if not one.guarded]
    for one in cases:
        check_case(target, one)
        if time.monotonic() - started > QUICK_S:
            raise CorpusError(f"corpus case {one.name}: not done after {QUICK_S:.0f} s")
    target.ask(FRAME + b"flush_all\r\n", ALL_RIGHTS)
    return len(cases)


def check_case(target: Target, one: Case, *, numbered: bool = True) -> None:
    """Empty the store, then ask each step. numbered: one message, cut as docs/service.md says."""
    target.ask(FRAME + b"flush_all\r\n", ALL_RIGHTS)
    cas = b"0"
    for number, step in enumerate(one.steps):
        where = f"corpus case {one.name}, step {number}, {_short(step.request)}"
        datagrams = target.ask(step.datagram.replace(b"<cas>", cas), step.source)
        if numbered:
            _check_frames(where, step.datagram[:2], datagrams)
        message = masked(b"".join(datagram[FRAME_BYTES:] for datagram in datagrams))
        pattern = re.escape(step.answer).replace(b"<cas>", b"([0-9]+)")
        match = re.fullmatch(pattern, message)
        if match is None:
            raise CorpusError(f"{where}: got {_short(message)}, not {_short(step.answer)}")
        cas = match[1] if match.re.groups else cas


def _check_frames(where: str, request_id: bytes, datagrams: list[bytes]) -> None:
    total = len(datagrams)
    for sequence, datagram in enumerate(datagrams):
        frame = request_id + struct.pack(">HHH", sequence, total, 0)
        if datagram[:FRAME_BYTES] != frame:
            raise CorpusError(f"{where}: frame {datagram[:FRAME_BYTES].hex()}, not {frame.hex()}")
        body_bytes = len(datagram) - FRAME_BYTES
        if body_bytes > BODY_BYTES or body_bytes == 0:
            raise CorpusError(f"{where}: datagram {sequence} carries {body_bytes} bytes")
        if sequence < total - 1 and body_bytes != BODY_BYTES:
            raise CorpusError(f"{where}: datagram {sequence} of {total} is not full")


def _check_echo(target: Udp) -> None:
    for datagram in (b"x", FRAME, FRAME + b"get a\r\n", bytes(range(256)) * 5, b"y" * 1472):
        answer = target.echo(datagram)
        if answer != datagram:
            raise CorpusError(f"echo of {_short(datagram)}: got {_short(answer)}")


class Udp:
    """A target behind a connected UDP socket; every source but the socket's own is refused."""

    def __init__(self, udp: socket.socket) -> None:
        self._udp = udp
        self._sentinels = itertools.cycle(range(0x8000, 0x10000))
        udp.settimeout(ANSWER_S)

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        """Send, then ask for the version under another id: what came before that is the reply."""
        assert source == ALL_RIGHTS
        sentinel = struct.pack(">HHHH", next(self._sentinels), 0, 1, 0)
        self._udp.send(datagram)
        self._udp.send(sentinel + b"version\r\n")
        answers: list[bytes] = []
        while True:
            answer = self._receive(datagram)
            if answer[:2] == sentinel[:2]:
                return answers
            answers.append(answer)

    def echo(self, datagram: bytes) -> bytes:
        """One datagram for one."""
        self._udp.send(datagram)
        return self._receive(datagram)

    def _receive(self, datagram: bytes) -> bytes:
        try:
            return self._udp.recv(65_536)
        except TimeoutError:
            raise CorpusError(f"no answer in {ANSWER_S:.0f} s to {_short(datagram)}") from None
        except ConnectionRefusedError:
            raise CorpusError("nobody listens there") from None


def _short(message: bytes) -> str:
    shown = repr(message[:60])[1:]
    return shown if len(message) <= 60 else f"{shown}... ({len(message)} bytes)"


def main(arguments: list[str]) -> int:
    """The command line: 0 passed, 1 failed."""
    parser = argparse.ArgumentParser(description="Ask the quick corpus of a running server.")
    parser.add_argument("target", metavar="ADDR:PORT")
    parser.add_argument("--service", choices=("kv", "echo"), default="kv")
    given = parser.parse_args(arguments)
    host, _, port = given.target.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        udp.connect((host.strip("[]"), int(port)))
        try:
            count = quick_corpus(udp, given.service)
        except CorpusError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    print(f"{count} cases passed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
