"""A target's answers in comparable form: joined, masked, cas ids renamed in order of appearance."""

from __future__ import annotations

import re
from collections.abc import Sequence

from targets import Target

from nearmetal.kv.corpus import ask_all, masked
from nearmetal.kv.corpus.case import ALL_RIGHTS, FRAME
from nearmetal.kv.protocol import FRAME_BYTES

_SHOWN = re.compile(rb"^VALUE ([^ ]+) (\d+) (\d+) (\d+)\r\n", re.M)
_ASKED = re.compile(rb"<cas ([^>]+)>")


class Session:
    """Questions to one server, starting with an empty store."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._last: dict[bytes, bytes] = {}  # key -> cas id that the server shows
        self._names: dict[bytes, bytes] = {}  # the same id -> its name
        self.ask(b"flush_all\r\n")

    def ask(self, body: bytes) -> bytes:
        """Return the reply's message in comparable form."""
        return self.ask_all([body])[0]

    def ask_all(self, bodies: Sequence[bytes]) -> list[bytes]:
        """Return the replies in comparable form; questions that need no new cas id are batched."""
        messages: list[bytes] = []
        batch: list[bytes] = []
        for body in bodies:
            if batch and _ASKED.search(body):
                messages += self._ask_batch(batch)
                batch = []
            batch.append(body)
        return messages + self._ask_batch(batch)

    def _ask_batch(self, bodies: Sequence[bytes]) -> list[bytes]:
        questions = [
            (FRAME + _ASKED.sub(lambda match: self._last.get(match[1], b"1"), body), ALL_RIGHTS)
            for body in bodies
        ]
        return [
            _SHOWN.sub(self._renamed, masked(b"".join(part[FRAME_BYTES:] for part in datagrams)))
            for datagrams in ask_all(self.target, questions)
        ]

    def _renamed(self, match: re.Match[bytes]) -> bytes:
        key, flags, length, cas = match.groups()
        self._last[key] = cas
        name = self._names.setdefault(cas, b"#%d" % len(self._names))
        return b"VALUE %b %b %b %b\r\n" % (key, flags, length, name)
