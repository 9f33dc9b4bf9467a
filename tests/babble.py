"""Peers that send without end: a program that waits for their answer must still end."""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

Source = Callable[[bytes], Iterator[bytes]]  # takes the first question, gives endless datagrams

_RANDOM = random.Random(16)
_AGAIN_S = 0.05


def empty(_: bytes) -> Iterator[bytes]:
    return itertools.repeat(b"")


def noise(_: bytes) -> Iterator[bytes]:
    while True:
        yield _RANDOM.randbytes(_RANDOM.randrange(1, 1500))


def cut(_: bytes) -> Iterator[bytes]:
    """The first bytes of a reply's frame."""
    return itertools.repeat(b"\0\1\0\0")


def of_others(question: bytes) -> Iterator[bytes]:
    """Valid replies, to ids that were not sent."""
    asked = int.from_bytes(question[:2], "big")
    for number in itertools.cycle(range(0x4000, 0x8000)):
        yield ((asked + number) & 0xFFFF).to_bytes(2, "big") + b"\0\0\0\1\0\0END\r\n"


def part(question: bytes) -> Iterator[bytes]:
    """Always the same datagram of the right reply."""
    return itertools.repeat(question[:2] + b"\0\1\0\2\0\0" + b"x" * 1000)


def parts_of_two(question: bytes) -> Iterator[bytes]:
    """Datagrams of two replies that never become complete."""
    return itertools.cycle([question[:2] + b"\0\2\0\3\0\0a", question[:2] + b"\0\0\0\2\0\0b"])


SOURCES: tuple[Source, ...] = (empty, noise, cut, of_others, part, parts_of_two)


@contextlib.contextmanager
def udp(source: Source, pause_s: float = 0.0) -> Iterator[int]:
    """Open a port that sends endless datagrams to each client that has sent one, pause_s apart."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind(("127.0.0.1", 0))
        with _babbling(ours, source, pause_s):
            yield ours.getsockname()[1]


@contextlib.contextmanager
def unix(path: Path, source: Source) -> Iterator[None]:
    """Open a UNIX socket that sends endless frames as datagrams."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(path))
        with _babbling(ours, source, 0.0):
            yield


@contextlib.contextmanager
def _babbling(ours: socket.socket, source: Source, pause_s: float) -> Iterator[None]:
    over = threading.Event()
    ours.settimeout(_AGAIN_S)

    def babble() -> None:
        asker, stream = None, iter(())
        while not over.is_set():
            with contextlib.suppress(TimeoutError, ConnectionError):
                if asker is None:
                    question, asker = ours.recvfrom(65_536)
                    stream = source(question)
                ours.sendto(next(stream), asker)
                over.wait(pause_s)

    thread = threading.Thread(target=babble)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
