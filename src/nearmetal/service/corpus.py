"""The corpus of a service: cases with the outcomes that CPython gives, asked of every rung.

They are what the file's before, requests and cases give, and what a hostile client would make of
the requests: cut, lengthened, bytes changed. They are asked in order of a program that has just
started, one after the other, so replies that depend on earlier requests are checked too. A byte
that depends on time, source or seed is found by answering all twice, and is not compared.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nearmetal.errors import NearmetalError
from nearmetal.service.expected import FIRST, REQUEST_BYTES_MAX, SECOND, Pass, asks, with_id
from nearmetal.service.load import Loaded
from nearmetal.service.runner import Outcome, Runner
from nearmetal.service.watch import Watch

REQUESTS_TAKEN = 256  # of those that before and requests give: the first ones
SPOILT_TAKEN = 12  # requests that are spoilt
CUTS_MAX = 16
FLIPS = 12
TEXT_BYTES = 24  # shown of a request or reply
ID_MAX = 1 << 16


@dataclass(frozen=True, slots=True)
class Case:
    """One request and its outcome."""

    name: str
    request: bytes
    outcome: Outcome
    mask: bytes  # as long as the reply; 0: this byte is not compared

    def wrong(self, reply: bytes | None) -> str | None:
        """Say how a program's reply differs, None: it does not. None as reply: there was none."""
        right = self.outcome.reply if self.outcome.drop == "answered" else None
        if reply is None and right is None:
            return None
        if reply is None or right is None or len(reply) != len(right):
            return f"{self._asked}: got {_shown(reply)}, not {_shown(right)}"
        for at, (one, other, bits) in enumerate(zip(reply, right, self.mask, strict=True)):
            if (one ^ other) & bits:
                return f"{self._asked}: byte {at}: got {_shown(reply)}, not {_shown(right)}"
        return None

    @property
    def _asked(self) -> str:
        return f"case {self.name}, {_shown(self.request)}"


def corpus(
    loaded: Loaded, *, trusted: bool = False, request_bytes_max: int = REQUEST_BYTES_MAX
) -> tuple[Case, ...]:
    """Return the cases, the last one with a reply. BadInputError: a function of the file fails.

    trusted: whether the program takes who asks for trusted (Runner.answer). request_bytes_max:
    longer requests cannot reach this program.
    """
    named = [
        (name, with_id(request, number % ID_MAX, loaded.service.id))
        for number, (name, request) in enumerate(_requests(loaded), 1)
        if len(request) <= request_bytes_max
    ]
    return cases_of(loaded, named, trusted=trusted)


def cases_of(
    loaded: Loaded, named: Sequence[tuple[str, bytes]], *, trusted: bool
) -> tuple[Case, ...]:
    """Return the cases of named requests, the last one with a reply."""
    named = list(named)
    while True:
        requests = [request for _, request in named]
        one = _outcomes(loaded, requests, FIRST, trusted=trusted)
        other = _outcomes(loaded, requests, SECOND, trusted=trusted)
        alike = [
            a.drop == b.drop and len(a.reply) == len(b.reply)
            for a, b in zip(one, other, strict=True)
        ]
        if all(alike):
            break
        # A case whose outcome cannot be foreseen is left out, and so is what it did to the state.
        named = [each for each, same in zip(named, alike, strict=True) if same]
    cases = [
        Case(name, request, a, _alike(a.reply, b.reply))
        for (name, request), a, b in zip(named, one, other, strict=True)
    ]
    while cases and cases[-1].outcome.drop != "answered":
        cases.pop()
    return tuple(cases)


def check(cases: Sequence[Case], exchange: Callable[[Sequence[bytes]], bytes]) -> str | None:
    """Ask all cases in order; return the first wrong answer, None: all are right.

    exchange sends requests, of which only the last one has a reply, and returns the next reply that
    comes. So that the ones before have none is seen without waiting: theirs would come first.
    """
    silent: list[Case] = []
    for case in cases:
        if case.outcome.drop != "answered":
            silent.append(case)
            continue
        try:
            reply = exchange([each.request for each in (*silent, case)])
        except NearmetalError as error:
            return f"case {case.name}, {_shown(case.request)}: {error}"
        wrong = case.wrong(reply)
        if wrong is not None and silent:
            return f"{wrong}; or a reply to one of {len(silent)} cases before it that have none"
        if wrong is not None:
            return wrong
        silent.clear()
    return None


def _outcomes(
    loaded: Loaded, requests: Sequence[bytes], how: Pass, *, trusted: bool
) -> list[Outcome]:
    runner = Runner(loaded, how.seed)
    with Watch(runner, loaded.finder):
        return [
            runner.answer(request, how.source, how.now_ns, trusted=trusted) for request in requests
        ]


def _alike(one: bytes, other: bytes) -> bytes:
    """Return a mask of the bytes that are the same in both."""
    return bytes(255 if a == b else 0 for a, b in zip(one, other, strict=True))


def _requests(loaded: Loaded) -> Iterator[tuple[str, bytes]]:
    before, mix = asks(loaded, "before"), asks(loaded, "requests")
    for name, given in (("before", before), ("requests", mix), ("cases", asks(loaded, "cases"))):
        for number, each in enumerate(given[:REQUESTS_TAKEN]):
            yield f"{name} {number}", each.request
    chance = random.Random(0)
    for number, each in enumerate(mix[:SPOILT_TAKEN]):
        for what, request in _spoilt(each.request, chance):
            yield f"requests {number} {what}", request
    for number, each in enumerate(mix[:1]):
        yield f"requests {number} again", each.request


def _spoilt(request: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    lengths = range(1, len(request))
    for length in sorted(chance.sample(lengths, min(CUTS_MAX, len(lengths)))):
        yield f"cut to {length}", request[:length]
    for more in (1, 16, 256, REQUEST_BYTES_MAX - len(request)):
        if 0 < more <= REQUEST_BYTES_MAX - len(request):
            yield f"with {more} bytes more", request + chance.randbytes(more)
    for _ in range(FLIPS if request else 0):
        at, bits = chance.randrange(len(request)), chance.randrange(1, 256)
        changed = bytes((request[at] ^ bits,))
        yield f"with byte {at} changed", request[:at] + changed + request[at + 1 :]


def _shown(message: bytes | None) -> str:
    if message is None:
        return "no reply"
    more = "" if len(message) <= TEXT_BYTES else f"... ({len(message)} bytes)"
    return f"{message[:TEXT_BYTES].hex(' ')}{more}" if message else "0 bytes"
