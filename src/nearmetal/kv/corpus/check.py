"""Sends the corpus to a server and reports the first case that fails.

    python -m nearmetal.kv.corpus 127.0.0.1:11211 [--corpus bytes]

The server is behind a socket (`Udp`) or anything else that answers datagrams (`Target`). That a
request has no reply is proved without waiting: a later request is answered first.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from nearmetal.errors import NearmetalError
from nearmetal.kv.corpus.case import ALL_RIGHTS, FRAME, Case, Step, masked
from nearmetal.kv.corpus.cases import CASES
from nearmetal.kv.protocol import BODY_BYTES, FRAME_BYTES, MESSAGE_BYTES_MAX
from nearmetal.service import corpus as own
from nearmetal.service.expected import REQUEST_BYTES_MAX
from nearmetal.service.load import Loaded

ANSWER_S = 3.0  # longest wait for one datagram, many times what an idle machine needs
QUESTION_S = 20.0  # longest wait for the whole reply to one request
CORPORA = MEMCACHED, BYTES = "memcached", "bytes"  # its protocol; a reply equals its request
QUICK_S = 60.0  # limit; an emulated machine that shares a core may need several seconds
RECEIVE_BUFFER_BYTES = 4 << 20  # room for a reply of 64 datagrams


class CorpusError(NearmetalError):
    """A server gives a wrong answer; the message names the case."""


class Target(Protocol):
    """A server that returns all reply datagrams of a request, in order."""

    def ask(self, datagram: bytes, source: str) -> list[bytes]: ...


@runtime_checkable
class Pipelined(Target, Protocol):
    """A target that accepts several requests at once and handles them in order."""

    def ask_many(self, questions: Sequence[tuple[bytes, str]]) -> list[list[bytes]]: ...


class Service(Target, Protocol):
    """A target that may be `echo`, or a user's service."""

    def echo(self, datagram: bytes) -> bytes:
        """Send one datagram and return the one reply."""
        ...

    def exchange(self, datagrams: Sequence[bytes]) -> bytes:
        """Send datagrams, of which only the last one has a reply; return the next that comes."""
        ...


def quick_corpus(
    corpus: str | Loaded, host: str, port: int, request_bytes_max: int | None = None
) -> str | None:
    """Run `quick` over a UDP socket."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.connect((host, port))
        return quick(corpus, Udp(udp), request_bytes_max)


def quick(
    corpus: str | Loaded, target: Service, request_bytes_max: int | None = None
) -> str | None:
    """Run every case that needs no special source; returns the first failure, None: all passed.

    corpus: one of CORPORA, or a user's service, whose cases are its own; the server has just
    started, and takes the asker for trusted. request_bytes_max: longer requests cannot reach this
    target, so their cases are left out. Leaves the store empty. Taking longer than QUICK_S is a
    failure, too.
    """
    try:
        if isinstance(corpus, Loaded):
            most = request_bytes_max or REQUEST_BYTES_MAX
            cases = own.corpus(corpus, trusted=True, request_bytes_max=most)
            return own.check(cases, target.exchange)
        if corpus == BYTES:
            _check_echo(target)
        else:
            _check_quick(target, request_bytes_max)
    except NearmetalError as error:
        return str(error)
    return None


def ask_all(target: Target, questions: Sequence[tuple[bytes, str]]) -> list[list[bytes]]:
    """Send requests that do not depend on each other's answers; returns replies, in order."""
    if isinstance(target, Pipelined):
        return target.ask_many(questions)
    return [target.ask(datagram, source) for datagram, source in questions]


def _check_quick(target: Target, request_bytes_max: int | None) -> None:
    started = time.monotonic()
    for one in CASES:
        if not one.guarded and (request_bytes_max is None or one.most_bytes <= request_bytes_max):
            check_case(target, one)
        if time.monotonic() - started > QUICK_S:
            raise CorpusError(f"corpus case {one.name}: not done after {QUICK_S:.0f} s")
    target.ask(FRAME + b"flush_all\r\n", ALL_RIGHTS)


def check_case(target: Target, one: Case, *, numbered: bool = True) -> None:
    """Empty the store, then run the steps of a case; CorpusError: a wrong answer.

    numbered: check that each reply is one message, cut into datagrams as docs/service.md says.
    """
    before = [(FRAME + b"flush_all\r\n", ALL_RIGHTS)]
    cas = b"0"
    for steps in _batches(one.steps):
        questions = [(step.datagram.replace(b"<cas>", cas), step.source) for _, step in steps]
        answers = ask_all(target, before + questions)[len(before) :]
        before = []
        for (number, step), datagrams in zip(steps, answers, strict=True):
            where = f"corpus case {one.name}, step {number}, {_short(step.request)}"
            if numbered:
                _check_frames(where, step.datagram[:2], datagrams)
            cas = _check_message(where, step, datagrams) or cas


def _batches(steps: Sequence[Step]) -> Iterator[list[tuple[int, Step]]]:
    """Number the steps and cut the list before each step that needs an earlier answer."""
    batch: list[tuple[int, Step]] = []
    for number, step in enumerate(steps):
        if batch and b"<cas>" in step.request:
            yield batch
            batch = []
        batch.append((number, step))
    yield batch


def _check_message(where: str, step: Step, datagrams: list[bytes]) -> bytes | None:
    """Compare a reply with the step's answer, byte by byte; returns its cas id, if it has one."""
    message = masked(b"".join(datagram[FRAME_BYTES:] for datagram in datagrams))
    pattern = re.escape(step.answer).replace(b"<cas>", b"([0-9]+)")
    match = re.fullmatch(pattern, message)
    if match is None:
        raise CorpusError(f"{where}: got {_short(message)}, not {_short(step.answer)}")
    return match[1] if match.re.groups else None


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


def _check_echo(target: Service) -> None:
    for datagram in (b"x", FRAME, FRAME + b"get a\r\n", bytes(range(256)) * 5, b"y" * 1472):
        answer = target.echo(datagram)
        if answer != datagram:
            raise CorpusError(f"echo of {_short(datagram)}: got {_short(answer)}")


class Udp:
    """A target behind a connected UDP socket; every request comes from the socket's source."""

    def __init__(self, udp: socket.socket) -> None:
        self.udp = udp
        self._sentinels = itertools.cycle(range(0x8000, 0x10000))
        udp.settimeout(ANSWER_S)
        for option in (socket.SO_RCVBUF, _SO_RCVBUFFORCE):  # the latter needs NET_ADMIN
            with contextlib.suppress(PermissionError):
                udp.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER_BYTES)

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        """Send a request, then a version request with another id: all before its reply is ours."""
        self._send(datagram)
        return self.received(datagram)

    def received(self, datagram: bytes) -> list[bytes]:
        """Receive datagrams until a version request sent now is answered; returns those before it.

        CorpusError: there are more bytes than a reply can have, or the answer is late.
        """
        deadline = time.monotonic() + QUESTION_S
        sentinel = struct.pack(">HHHH", next(self._sentinels), 0, 1, 0)
        self._send(sentinel + b"version\r\n")
        answers: list[bytes] = []
        nb_bytes = 0  # bytes, because memcached sends each command's answer in its own datagram
        while nb_bytes <= MESSAGE_BYTES_MAX and (left_s := deadline - time.monotonic()) > 0:
            answer = self._receive(datagram, left_s)
            if answer[:2] == sentinel[:2]:
                return answers
            answers.append(answer)
            nb_bytes += max(1, len(answer) - FRAME_BYTES)
        raise CorpusError(f"no end of answers to {_short(datagram)}")

    def echo(self, datagram: bytes) -> bytes:
        """Send one datagram and return the one reply."""
        return self.exchange([datagram])

    def exchange(self, datagrams: Sequence[bytes]) -> bytes:
        """Send datagrams and return the next one that comes."""
        for datagram in datagrams:
            self._send(datagram)
        return self._receive(datagrams[-1])

    def _send(self, datagram: bytes) -> None:
        try:
            self.udp.send(datagram)
        except ConnectionRefusedError:
            raise CorpusError("no program listens there") from None

    def _receive(self, datagram: bytes, left_s: float = ANSWER_S) -> bytes:
        wait_s = min(left_s, ANSWER_S)
        self.udp.settimeout(wait_s)
        try:
            return self.udp.recv(65_536)
        except TimeoutError:
            raise CorpusError(f"no answer in {wait_s:.0f} s to {_short(datagram)}") from None
        except ConnectionRefusedError:
            raise CorpusError("no program listens there") from None


_SO_RCVBUFFORCE = 33  # Linux; the socket module does not name it


def _short(message: bytes) -> str:
    shown = repr(message[:60])[1:]
    return shown if len(message) <= 60 else f"{shown}... ({len(message)} bytes)"
