"""Notices an `answer` that does not come back."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from nearmetal.errors import NearmetalError
from nearmetal.service.beside import BesideFinder
from nearmetal.service.runner import Runner

TICK_S = 0.25
TICKS_MAX = 3
SHOWN_BYTES = 8


class StuckError(NearmetalError):
    """A function does not come back; the message says in which line it is."""


class Watch:
    """While it is open, an answer that uses a second of its thread's time raises StuckError.

    The clock is that of the process's own work (ITIMER_VIRTUAL): it stands while the process sleeps
    or is stopped, so an idle server is not woken, and a slow machine is no fault. Only the main
    thread can be watched; in another one this does nothing.
    """

    def __init__(self, runner: Runner, finder: BesideFinder) -> None:
        self._runner = runner
        self._finder = finder
        self._turn = self._ticks = 0

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGVTALRM, self._tick)
            signal.setitimer(signal.ITIMER_VIRTUAL, TICK_S, TICK_S)

    def __exit__(self, *error: object) -> None:
        if threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, self._before)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        runner = self._runner
        if not runner.inside or runner.turn != self._turn:
            self._turn, self._ticks = runner.turn, 0
            return
        self._ticks += 1
        if self._ticks >= TICKS_MAX:
            raise StuckError(f"{self._finder.inside(frame)}{in_words(runner.request)}")


def in_words(request: bytes) -> str:
    """Say that a request is not answered, as native programs do (native/program/stuck.c)."""
    shown = f"{len(request)} byte{'' if len(request) == 1 else 's'}: {request[:SHOWN_BYTES].hex()}"
    more = "..." if len(request) > SHOWN_BYTES else ""
    return f"answer did not come back for a second; the request had {shown}{more}"
