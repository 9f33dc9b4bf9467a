"""A lease: an agent holds it while it hears its controller, and loses it soon after."""

from __future__ import annotations

import time
from collections.abc import Callable

LEASE_S = 10.0
BEAT_S = 1.0  # interval of the controller's heartbeats


class Lease:
    """A time limit that every heartbeat renews. clock: seconds, monotonic."""

    def __init__(self, lease_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        assert lease_s > 0
        self._lease_s = lease_s
        self._clock = clock
        self._heard_s = clock()

    def heard(self) -> None:
        """Renew the lease. After its end this changes nothing."""
        if not self.expired():
            self._heard_s = self._clock()

    def left_s(self) -> float:
        """Return the seconds until the end of the lease; 0: it has ended."""
        return max(0.0, self._heard_s + self._lease_s - self._clock())

    def expired(self) -> bool:
        return self.left_s() == 0.0
