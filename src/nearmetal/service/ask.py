"""One request that a service's file asks of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, with what the file says of its reply.

    `unchecked` has ranges (begin, end) of the reply that cannot be foreseen, for example those of a
    time or a counter. The request's id needs no range.

    `reply` or `drop` make it a test of the file: the reply that it must get, or the word under
    which it must be dropped (`quiet`: answer returned 0). Without them any outcome is right.
    """

    request: bytes
    unchecked: tuple[tuple[int, int], ...] = ()
    reply: bytes | None = None
    drop: str | None = None
