"""The declaration of a service in its file: `service = Service(...)`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass

from nearmetal.errors import BadInputError, unknown
from nearmetal.service.faults import FAULTS
from nearmetal.service.state import State

NAME = re.compile(r"[a-z][a-z0-9]{0,11}")  # ServiceName in samples.py
WORD = re.compile(r"[a-z][a-z0-9_]{0,14}")  # a counter or drop word (native/include/service.h)
COUNTERS_MAX = 16  # SERVICE_COUNTERS_MAX in native/include/service.h
DROPS_MAX = 8  # with those of faults at most SERVICE_DROPS_MAX (native/include/drop.h)
DATAGRAM_BYTES_MAX = 1400  # SERVICE_DATAGRAM_BYTES in native/include/service.h
ID_BYTES = 2
# Words of the servers' lines (native/include/drop.h, native/program/report.c): names of a service
# that are among them would be taken for those.
DROP_WORDS = (
    "answered", "quiet", "short", "source", "amplify", "truncated", "tx", "frame", "mac",
    "ethertype", "arp", "ip", "fragment", "addr", "icmp", "protocol", "udp", "port",
)  # fmt: skip
LINE_WORDS = (
    "event", "received", "replies", "drops", "syscalls", "rx_errors", "tx_errors", "empty_rx",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Id:
    """Where the 16-bit number stands by which a client matches a reply to its request.

    Of a wider number, name two bytes. The load writes it into each request and looks for it in the
    reply.
    """

    at: int  # position in a request
    reply_at: int  # position in a reply


@dataclass(frozen=True)
class Service:
    """A service: its name in rows and reports, and what others need to know of it."""

    name: str
    _: KW_ONLY
    port: int
    state: type[State] = State
    counters: tuple[str, ...] = ()  # fields of the state that count since the start
    gauges: tuple[str, ...] = ()  # fields of the state with current values
    drops: tuple[str, ...] = ()  # why a request got no reply: answer returns -1 for the first
    id: Id | None = None
    request_bytes_min: int = 1  # shorter requests are dropped as `short`
    reply_bytes_max: int = DATAGRAM_BYTES_MAX  # a longer reply is a fault

    def __post_init__(self) -> None:
        for wrong in _wrong(self):
            raise BadInputError(f"service {self.name!r}: {wrong}")

    @property
    def drop_words(self) -> tuple[str, ...]:
        """All drop words of its row: its own, then those of faults."""
        return self.drops + FAULTS


def _wrong(service: Service) -> Iterator[str]:
    """Say what is wrong, the first fault first."""
    if not isinstance(service.name, str) or not NAME.fullmatch(service.name):
        yield "a name has 1 to 12 characters of a-z and 0-9, and begins with a letter"
    if type(service.port) is not int or not 0 < service.port < 65_536:
        yield f"port={service.port!r}: must be a number from 1 to 65535"
    if not isinstance(service.state, type) or not issubclass(service.state, State):
        yield f"state={service.state!r}: must be a class derived from State"
    yield from _wrong_words("counters", service.counters)
    yield from _wrong_words("gauges", service.gauges)
    yield from _wrong_words("drops", service.drops)
    yield from _wrong_counters(service)
    if len(service.drops) > DROPS_MAX:
        yield f"{len(service.drops)} drop words; at most {DROPS_MAX}"
    for word in service.drops:
        if word in DROP_WORDS + FAULTS or service.drops.count(word) > 1:
            yield f"the drop word {word!r} exists already; choose another"
    yield from _wrong_lengths(service)


def _wrong_words(field: str, words: object) -> Iterator[str]:
    if not isinstance(words, tuple):
        yield f'{field}={words!r}: must be a tuple; write {field}=("one",) with a comma'
        return
    for word in words:
        if not isinstance(word, str) or not WORD.fullmatch(word):
            yield (
                f"{field}: {word!r} must have 1 to 15 characters of a-z, 0-9 and _, and begin with"
                " a letter"
            )


def _wrong_counters(service: Service) -> Iterator[str]:
    names = service.gauges + service.counters
    layout = service.state.layout
    scalars = [place.path for place in layout.places if place.count is None]
    for name in names:
        if name not in scalars:
            known = unknown("field of the state", name, scalars)
            yield f"counters and gauges name single fields; {known}"
        if name in LINE_WORDS or names.count(name) > 1:
            yield f"the counter {name!r} exists already; choose another"
    if len(names) > COUNTERS_MAX:
        yield f"{len(names)} counters; at most {COUNTERS_MAX}"


def _wrong_lengths(service: Service) -> Iterator[str]:
    for field in ("request_bytes_min", "reply_bytes_max"):
        value = getattr(service, field)
        if type(value) is not int or not 1 <= value <= DATAGRAM_BYTES_MAX:
            yield f"{field}={value!r}: must be a number from 1 to {DATAGRAM_BYTES_MAX}"
    if service.id is None:
        return
    if not isinstance(service.id, Id):
        yield "id must be written as Id(at=0, reply_at=0)"
    for field, most, where in (
        ("at", service.request_bytes_min, "request_bytes_min"),
        ("reply_at", service.reply_bytes_max, "reply_bytes_max"),
    ):
        value = getattr(service.id, field)
        if type(value) is not int or value < 0 or value + ID_BYTES > most:
            yield (
                f"id: {field}={value!r} is outside: its {ID_BYTES} bytes must lie within"
                f" {where}={most}"
            )
