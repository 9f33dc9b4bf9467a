"""A target's answers made comparable: joined, masked, cas ids renamed in order of appearance."""

from __future__ import annotations

import re

from targets import Target

from nearmetal.corpus import masked
from nearmetal.corpus.case import ALL_RIGHTS, FRAME
from nearmetal.protocol import FRAME_BYTES

_SHOWN = re.compile(rb"^VALUE ([^ ]+) (\d+) (\d+) (\d+)\r\n", re.M)
_ASKED = re.compile(rb"<cas ([^>]+)>")


class Session:
    """Questions to one server, from an empty store on."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._last: dict[bytes, bytes] = {}  # key -> cas as the server shows it
        self._names: dict[bytes, bytes] = {}  # the same id -> its name
        self.ask(b"flush_all\r\n")

    def ask(self, body: bytes) -> bytes:
        """The reply's message, comparable."""
        request = _ASKED.sub(lambda match: self._last.get(match[1], b"1"), body)
        datagrams = self.target.ask(FRAME + request, ALL_RIGHTS)
        message = masked(b"".join(datagram[FRAME_BYTES:] for datagram in datagrams))
        return _SHOWN.sub(self._renamed, message)

    def _renamed(self, match: re.Match[bytes]) -> bytes:
        key, flags, length, cas = match.groups()
        self._last[key] = cas
        name = self._names.setdefault(cas, b"#%d" % len(self._names))
        return b"VALUE %b %b %b %b\r\n" % (key, flags, length, name)
