"""Log lines of a running `serve`: why requests got no answer, without repeating lines.

A service manager also gets the number of answered requests as its status.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from nearmetal.machine.processes import supervisor
from nearmetal.machine.processes.process import Event

EVERY_S = 60  # interval of the counters events

# Drop words of requests and frames that are no trouble: they were answered, or not addressed to
# this service (native/include/drop.h).
_USUAL = frozenset(
    ("answered", "quiet", "arp", "icmp", "mac", "ethertype", "addr", "protocol", "port")
)
_ERRORS = ("rx_errors", "tx_errors")


@dataclass
class Log:
    """The log of one server.

    A reason is logged when it first occurs, and each time its count has doubled: at most one line a
    minute, and ever fewer over time.
    """

    name: str
    quiet: bool
    clock: Callable[[], float] = time.monotonic
    _told: dict[str, int] = field(default_factory=dict)
    _due_s: float = float("-inf")

    def heard(self, counters: Event) -> None:
        """Log what is new in a counters event; its counts are totals since the start."""
        now_s = self.clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S / 2  # events that arrive slightly early are still handled
        supervisor.tell(f"STATUS={self.name}: {answered(counters)}")
        grown = {
            reason: count
            for reason, count in troubles(counters)
            if count >= 2 * self._told.get(reason, 0)
        }
        if not grown:
            return
        self._told.update(grown)
        if not self.quiet:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in grown.items())
            words = f"{self.name}: {answered(counters)} so far; without an answer: {reasons}"
            print(supervisor.line(words, 4), file=sys.stderr, flush=True)


def answered(counters: Event) -> str:
    """Return how many of the received requests were answered, in words."""
    count = counters.get("drops", {}).get("answered", 0)
    return f"{count:,} of {counters['received']:,} requests answered"


def troubles(counters: Event) -> Iterator[tuple[str, int]]:
    """Yield name and count of each reason that is worth a line."""
    for reason, count in counters.get("drops", {}).items():
        if count and reason not in _USUAL:
            yield reason, count
    for name in _ERRORS:
        if count := counters.get(name, 0):
            yield name, count
