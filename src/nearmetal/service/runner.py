"""A service in CPython: one request in, one outcome out.

The rung host-py runs it behind a socket, and it is the oracle: all other rungs must answer as it
does.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import NamedTuple

from nearmetal.errors import NearmetalError
from nearmetal.service import faults
from nearmetal.service.buffers import Reply, Source
from nearmetal.service.load import Loaded

AMPLIFY_MAX = 3  # SERVICE_AMPLIFY_MAX in native/include/service.h
_COUNTER_BITS = (1 << 64) - 1


class Outcome(NamedTuple):
    """The reply to a request and `answered`, or none and why (native/include/drop.h)."""

    reply: bytes
    drop: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The first request that failed in one way."""

    word: str
    what: str  # class of the exception and its text
    where: str  # file:line, as the user knows the file
    file: str  # in the service's folder
    line: int
    request: bytes

    def __str__(self) -> str:
        return f"{self.word}: {self.what} at {self.where}"

    def event(self) -> dict[str, object]:
        """Return it as a server prints it (faults.in_words)."""
        return {"word": self.word, "file": self.file, "line": self.line, "what": self.what}


class Runner:
    """A started service. `inside`, `turn` and `request` are for its watch (watch.py)."""

    def __init__(self, loaded: Loaded, seed: bytes = bytes(16)) -> None:
        self.faults: dict[str, Fault] = {}
        self.inside = False
        self.turn = 0
        self.request = b""
        self._loaded = loaded
        self._service = loaded.service
        self._answer = loaded.answer
        self._state = loaded.state(seed)

    def answer(
        self, request: bytes, source: Source, now_ns: int, *, trusted: bool = False
    ) -> Outcome:
        """Answer one request. trusted: the reply may be longer than three times the request."""
        service = self._service
        if len(request) < service.request_bytes_min:
            return Outcome(b"", "short")
        room_bytes = service.reply_bytes_max
        if not trusted:
            room_bytes = min(room_bytes, AMPLIFY_MAX * len(request))
        reply = Reply(room_bytes)
        self.turn += 1
        self.request = request
        self.inside = True
        try:
            result = self._answer(request, reply, self._state, source, now_ns)
        except NearmetalError:  # from who watches it
            raise
        except Exception as error:
            return Outcome(b"", self._failed(error, request))
        finally:
            self.inside = False
        if type(result) is int:
            if 0 < result <= room_bytes:
                return Outcome(bytes(memoryview(reply)[:result]), "answered")
            if result == 0:
                return Outcome(b"", "quiet")
            if -len(service.drops) <= result < 0:
                return Outcome(b"", service.drops[-result - 1])
        return Outcome(b"", self._returned(result, room_bytes, request))

    def counters(self) -> dict[str, int]:
        """Return its counters, in the order of its row; as unsigned numbers, as programs print."""
        names = self._service.gauges + self._service.counters
        return {name: getattr(self._state, name) & _COUNTER_BITS for name in names}

    def _failed(self, error: Exception, request: bytes) -> str:
        word = faults.word(type(error))
        if word not in self.faults:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            last = frame.filename, frame.lineno or 1
            place = self._loaded.finder.raised_at(error) or last
            self._remember(word, f"{type(error).__name__}: {error}", place, request)
        return word

    def _returned(self, result: object, room_bytes: int, request: bytes) -> str:
        word = faults.BAD_RETURN
        if word not in self.faults:
            code = self._loaded.functions["answer"].__code__
            what = (
                f"answer returned {result!r}; it must be 0 to {room_bytes} bytes, or from -1 on one"
                f" of {len(self._service.drops)} drop words"
            )
            self._remember(word, what, (code.co_filename, code.co_firstlineno), request)
        return word

    def _remember(self, word: str, what: str, place: tuple[str, int], request: bytes) -> None:
        finder = self._loaded.finder
        self.faults[word] = Fault(
            word=word,
            what=" ".join(what.split()),
            where=finder.line(*place).removesuffix(": "),
            file=finder.within(place[0]),
            line=place[1],
            request=request,
        )
