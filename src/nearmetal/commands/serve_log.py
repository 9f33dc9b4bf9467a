"""What `serve` says while it runs: why requests drew no answer, in lines that do not repeat, and to
a service manager how many were answered."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from nearmetal.machine.processes import supervisor
from nearmetal.machine.processes.process import Event

EVERY_S = 60  # a look at the counters

# How requests and frames end where nothing is wrong: they were answered, or were for others
# (native/include/drop.h).
_USUAL = frozenset(
    ("answered", "quiet", "arp", "icmp", "mac", "ethertype", "addr", "protocol", "port")
)
_ERRORS = ("rx_errors", "tx_errors")


@dataclass
class Log:
    """Of one server. A reason is told when it is new, and each time its count has doubled: a line a
    minute at most, and in the long run ever fewer."""

    name: str
    quiet: bool
    clock: Callable[[], float] = time.monotonic
    _told: dict[str, int] = field(default_factory=dict)
    _due_s: float = float("-inf")

    def heard(self, counters: Event) -> None:
        """Its counters since the start."""
        now_s = self.clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S / 2  # what comes every minute is never a little early
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
    """In words."""
    count = counters.get("drops", {}).get("answered", 0)
    return f"{count:,} of {counters['received']:,} requests answered"


def troubles(counters: Event) -> Iterator[tuple[str, int]]:
    """Name and count of each reason that is worth a line."""
    for reason, count in counters.get("drops", {}).items():
        if count and reason not in _USUAL:
            yield reason, count
    for name in _ERRORS:
        if count := counters.get(name, 0):
            yield name, count
