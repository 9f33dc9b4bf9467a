"""One request that a service's file asks of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and which bytes of its reply cannot be foreseen.

    `unchecked` has ranges (begin, end) of the reply, for example those of a time or a counter. The
    request's id needs no range.
    """

    request: bytes
    unchecked: tuple[tuple[int, int], ...] = ()
