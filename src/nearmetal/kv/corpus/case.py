"""What a case of the corpus is: requests and their exact answers, in order, from an empty store.

In both, `<cas>` stands for the cas id that the last answer with one showed. Versions and the values
of stats are masked (`masked`): an answer holds `VERSION` and `STAT <name>` alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from nearmetal.kv import protocol

ALL_RIGHTS = "127.0.0.1"  # a source that is allowed, admin and trusted
FRAME = b"\x01\x02\0\0\0\1\0\0"  # request id 0x0102, one datagram


class Step(NamedTuple):
    """One request and what it must draw: a message, or silence for a reason of drop.h."""

    request: bytes  # behind the frame; with it where raw
    answer: bytes
    drop: str
    source: str
    raw: bool

    @property
    def datagram(self) -> bytes:
        """The UDP payload."""
        return self.request if self.raw else FRAME + self.request


@dataclass(frozen=True, slots=True)
class Case:
    """Steps in order."""

    name: str
    steps: tuple[Step, ...]

    @property
    def guarded(self) -> bool:
        """Whether it needs the server that GUARDED describes, and several sources."""
        return any(step.source != ALL_RIGHTS for step in self.steps)

    @property
    def most_bytes(self) -> int:
        """Bytes of its longest request."""
        return max(len(step.datagram) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Guard:
    """The admission lists of the server that guarded cases ask."""

    allow: tuple[str, ...]
    admin: tuple[str, ...]
    trusted: tuple[str, ...]


# 127.0.0.1 may everything; .2 is trusted, no admin; .3 neither; .5 is admin, not trusted; .9 is not
# allowed, though it is in both other lists.
GUARDED = Guard(
    allow=("127.0.0.0/29",),
    admin=("127.0.0.1/32", "127.0.0.5", "127.0.0.9"),
    trusted=("127.0.0.1", "127.0.0.2/32", "127.0.0.9"),
)


def case(name: str, *steps: Step | tuple[bytes, bytes]) -> Case:
    """A case from steps, or from pairs of request and answer."""
    made = (one if isinstance(one, Step) else ask(*one) for one in steps)
    return Case(name, tuple(made))


def ask(request: bytes, answer: bytes, source: str = ALL_RIGHTS) -> Step:
    """A request that is answered."""
    return Step(request, answer, "answered", source, raw=False)


def silent(request: bytes, drop: str, source: str = ALL_RIGHTS) -> Step:
    """A request that draws no datagram."""
    return Step(request, b"", drop, source, raw=False)


def raw(datagram: bytes, drop: str) -> Step:
    """Bytes that are no good request frame: they draw no datagram."""
    return Step(datagram, b"", drop, ALL_RIGHTS, raw=True)


def value(key: bytes, data: bytes, flags: int = 0) -> bytes:
    """What get prints of one item, without END."""
    return b"VALUE %b %d %d\r\n%b\r\n" % (key, flags, len(data), data)


def got(key: bytes, data: bytes, flags: int = 0) -> bytes:
    """What get of one key that is there answers."""
    return value(key, data, flags) + protocol.END


def put(
    key: bytes, data: bytes, flags: int = 0, exptime: int = 0, command: bytes = b"set"
) -> bytes:
    """A storage command."""
    return b"%b %b %d %d %d\r\n%b\r\n" % (command, key, flags, exptime, len(data), data)


_MASKS = (
    (re.compile(rb"^VERSION [^\r\n]+\r\n", re.M), b"VERSION\r\n"),
    (re.compile(rb"^STAT ([a-z_]+) [^\r\n]+\r\n", re.M), rb"STAT \1\r\n"),
)


def masked(message: bytes) -> bytes:
    """A message without what may differ between servers: the version and the values of stats."""
    for pattern, instead in _MASKS:
        message = pattern.sub(instead, message)
    return message
