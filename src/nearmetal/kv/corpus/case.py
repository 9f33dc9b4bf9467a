"""Cases of the corpus: requests and their exact answers, in order, starting with an empty store.

In requests and answers `<cas>` stands for the cas id in the last answer that had one. Versions and
the values of stats are masked (`masked`): an answer has only `VERSION` and `STAT <name>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from nearmetal.kv import protocol

ALL_RIGHTS = "127.0.0.1"  # a source that is allowed, admin and trusted
FRAME = b"\x01\x02\0\0\0\1\0\0"  # request id 0x0102, one datagram


class Step(NamedTuple):
    """One request and its answer: a message, or none for a reason of drop.h."""

    request: bytes  # without the frame; raw: with it
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
    """A named list of steps, in order."""

    name: str
    steps: tuple[Step, ...]

    @property
    def guarded(self) -> bool:
        """Whether the case needs a server with the lists GUARDED, and several sources."""
        return any(step.source != ALL_RIGHTS for step in self.steps)

    @property
    def most_bytes(self) -> int:
        """Length in bytes of the longest request."""
        return max(len(step.datagram) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Guard:
    """Admission lists of a server."""

    allow: tuple[str, ...]
    admin: tuple[str, ...]
    trusted: tuple[str, ...]


# For guarded cases. 127.0.0.1 has all rights; .2 is trusted, not admin; .3 is neither; .5 is admin,
# not trusted; .9 is not allowed, although it is in both other lists.
GUARDED = Guard(
    allow=("127.0.0.0/29",),
    admin=("127.0.0.1/32", "127.0.0.5", "127.0.0.9"),
    trusted=("127.0.0.1", "127.0.0.2/32", "127.0.0.9"),
)


def case(name: str, *steps: Step | tuple[bytes, bytes]) -> Case:
    """Make a case from steps or from pairs of request and answer."""
    made = (one if isinstance(one, Step) else ask(*one) for one in steps)
    return Case(name, tuple(made))


def ask(request: bytes, answer: bytes, source: str = ALL_RIGHTS) -> Step:
    """Make a step that is answered."""
    return Step(request, answer, "answered", source, raw=False)


def silent(request: bytes, drop: str, source: str = ALL_RIGHTS) -> Step:
    """Make a step without a reply."""
    return Step(request, b"", drop, source, raw=False)


def raw(datagram: bytes, drop: str) -> Step:
    """Make a step from a whole datagram that is no valid request; it has no reply."""
    return Step(datagram, b"", drop, ALL_RIGHTS, raw=True)


def value(key: bytes, data: bytes, flags: int = 0) -> bytes:
    """Answer of get for one item, without END."""
    return b"VALUE %b %d %d\r\n%b\r\n" % (key, flags, len(data), data)


def got(key: bytes, data: bytes, flags: int = 0) -> bytes:
    """Whole answer of get for one stored key."""
    return value(key, data, flags) + protocol.END


def put(
    key: bytes, data: bytes, flags: int = 0, exptime: int = 0, command: bytes = b"set"
) -> bytes:
    """Make a storage command."""
    return b"%b %b %d %d %d\r\n%b\r\n" % (command, key, flags, exptime, len(data), data)


_MASKS = (
    (re.compile(rb"^VERSION [^\r\n]+\r\n", re.M), b"VERSION\r\n"),
    (re.compile(rb"^STAT ([a-z_]+) [^\r\n]+\r\n", re.M), rb"STAT \1\r\n"),
)


def masked(message: bytes) -> bytes:
    """Remove from a message the parts that differ between servers: version, values of stats."""
    for pattern, instead in _MASKS:
        message = pattern.sub(instead, message)
    return message
