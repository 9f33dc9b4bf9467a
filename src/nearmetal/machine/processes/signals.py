"""Signals that end a program: one is raised like Ctrl-C, so that every `with` undoes on the way.

What was ignored when we started stays so, with us and with what we start (`nohup`). Python ignores
SIGPIPE and SIGXFSZ, whose write fails instead (Python's subprocess gives them back to children).
While one is on its way out, further ones change nothing; while something is being undone (`held`),
the first waits until that is done.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from nearmetal.errors import chain

# Whose default is not to end (signal(7)), or which cannot be caught.
_OTHERS = {
    signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH,
    signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
    signal.SIGPIPE, signal.SIGXFSZ,  # Python's
    signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL,  # the instruction would come again
}  # fmt: skip
ENDING = tuple(sorted(signal.valid_signals() - _OTHERS))

_ASKED = (signal.SIGINT, signal.SIGTERM)  # how one ends what runs until it is told to


class Ended(KeyboardInterrupt):
    """A signal came that ends us."""

    def __init__(self, number: int) -> None:
        words = "interrupted" if number == signal.SIGINT else f"ended by {name(number)}"
        super().__init__(words)
        self.number = number

    @property
    def exit_code(self) -> int:
        """As a shell has it."""
        return 128 + self.number


def name(number: int) -> str:
    """As kill(1) has it."""
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals between the first and the last
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def raise_all() -> None:
    """From now on each is raised in the main thread, as Ended, but those that were ignored."""
    pid = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        _leave_forked(pid, number)
        if not any(isinstance(each, Ended) for each in chain(sys.exception())):
            raise Ended(number)

    own = (signal.SIG_DFL, signal.default_int_handler)
    _install({each: end for each in ENDING if signal.getsignal(each) in own})


def why(end: KeyboardInterrupt) -> str:
    """In words."""
    return str(end) or "interrupted"


def code_of_service(end: KeyboardInterrupt) -> int:
    """Of what runs until it is told to end: 0 where it was; else as a shell has it."""
    return end.exit_code if isinstance(end, Ended) and end.number not in _ASKED else 0


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
        _leave_forked(pid, number)
        came.append(number)

    left_alone = (signal.SIG_IGN, None)  # None: a handler that is not Python's
    before = _install({each: keep for each in ENDING if signal.getsignal(each) not in left_alone})
    try:
        yield
    finally:
        _install(before)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


def _leave_forked(pid: int, number: int) -> None:
    """A library that forks and ends its child must not have that undo what its parent made."""
    if os.getpid() != pid:
        os._exit(128 + number)


_Handler = Callable[[int, FrameType | None], Any] | int | None


def _install(handlers: Mapping[int, _Handler]) -> dict[int, _Handler]:
    """All of them, none of which comes meanwhile; gives those that were there."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
        return {each: signal.signal(each, handler) for each, handler in handlers.items()}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
