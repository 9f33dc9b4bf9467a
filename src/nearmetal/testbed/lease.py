"""A lease: who is steered holds it as long as it hears from who steers, and not much longer."""

from __future__ import annotations

import time
from collections.abc import Callable

LEASE_S = 10.0
BEAT_S = 1.0  # how often the controller says something


class Lease:
    """Renewed by every sign of life. clock: seconds that never go back."""

    def __init__(self, lease_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        assert lease_s > 0
        self._lease_s = lease_s
        self._clock = clock
        self._heard_s = clock()

    def heard(self) -> None:
        """A sign of life. One that comes too late changes nothing: the lease has ended."""
        if not self.expired():
            self._heard_s = self._clock()

    def left_s(self) -> float:
        """Seconds until it ends; 0: it has."""
        return max(0.0, self._heard_s + self._lease_s - self._clock())

    def expired(self) -> bool:
        return self.left_s() == 0.0
