"""Ctrl-C while something is being undone: it comes through once that is done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held() -> Iterator[None]:
    """The body is not interrupted: what came meanwhile is raised at its end.

    By handlers, not by a mask: any thread that masks nothing would take the signal, and Python
    would still interrupt the main one. Threads other than the main one are never interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    pid = os.getpid()

    def keep(number: int, frame: FrameType | None) -> None:
        del frame
        if os.getpid() != pid:  # a library forked, and ends its child
            os._exit(128 + number)
        came.append(number)

    before = {each: signal.signal(each, keep) for each in _ENDING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
        if came:
            signal.raise_signal(came[0])
