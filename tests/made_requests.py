"""Requests made up for a service: those of its file, spoilt ones, and random bytes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from nearmetal.service.expected import REQUEST_BYTES_MAX, asks
from nearmetal.service.load import Loaded

ID_BYTES = 2
CHANGED_MAX = 3  # bytes


def made(loaded: Loaded, random: Random, count: int) -> Iterator[bytes]:
    """Yield so many requests; half of them are the file's own, with another id."""
    own = [ask.request for name in ("before", "requests", "cases") for ask in asks(loaded, name)]
    for _ in range(count):
        request = _spoilt(bytearray(random.choice(own)), random)
        if (place := loaded.service.id) is not None and len(request) >= place.at + ID_BYTES:
            request[place.at : place.at + ID_BYTES] = random.randbytes(ID_BYTES)
        yield bytes(request)


def _spoilt(request: bytearray, random: Random) -> bytearray:
    kind = random.random()
    if kind < 0.5:
        return request
    if kind < 0.7:
        for _ in range(random.randint(1, CHANGED_MAX)):
            request[random.randrange(len(request))] ^= random.randrange(1, 256)
        return request
    if kind < 0.8:
        return request[: random.randint(1, len(request))]
    if kind < 0.9:
        return request + random.randbytes(random.randint(0, REQUEST_BYTES_MAX - len(request)))
    return bytearray(random.randbytes(random.randint(1, REQUEST_BYTES_MAX)))
