"""What tests start, ask, and wait for."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nearmetal.lab.process import Child, Event, Where

_STDERR_BYTES_MAX = 1 << 20


class Program(Child):
    """A program of ours that a test starts. What it says on stderr is told when the test fails."""

    def __init__(self, argv: Sequence[str | Path]) -> None:
        super().__init__(argv, Where())

    def final(self, limit_s: float) -> Event:
        """Stop it; its last line. It must end by itself, with exit code 0."""
        os.kill(self.pid, signal.SIGTERM)
        assert self.wait(limit_s), f"{self.name} did not end within {limit_s:g} s of SIGTERM"
        how = self.failed()
        assert how is not None and how.startswith(f"{self.name} ended with exit code 0"), how
        return self.stop()[-1]

    def finish(self, ask: Callable[[], None], grace_s: float) -> list[bytes]:
        """As a child does; what it said on stderr goes to ours, which pytest shows on failure."""
        handle = -1 if self._stderr.closed else os.dup(self._stderr.fileno())
        try:
            return super().finish(ask, grace_s)
        finally:
            if handle >= 0:
                sys.stderr.write(os.pread(handle, _STDERR_BYTES_MAX, 0).decode(errors="replace"))
                os.close(handle)
