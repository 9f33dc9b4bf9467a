"""Signals that end a program: the first is raised like Ctrl-C, so that every `with` undoes.

A signal that was ignored when we started stays ignored, for us and for our children (`nohup`).
Python ignores SIGPIPE and SIGXFSZ, so that the write fails instead (subprocess restores both for
children). While the first signal is handled, further signals change nothing; while something is
being undone (`held`), the first signal waits until the undo is done.
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

# Signals that do not end a process by default (signal(7)), or cannot be caught.
_OTHERS = {
    signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH,
    signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
    signal.SIGPIPE, signal.SIGXFSZ,  # ignored by Python
    signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL,  # the instruction would repeat
}  # fmt: skip
ENDING = tuple(sorted(signal.valid_signals() - _OTHERS))

_ASKED = (signal.SIGINT, signal.SIGTERM)  # the usual ways to end a service


class Ended(KeyboardInterrupt):
    """A signal has arrived that ends this program."""

    def __init__(self, number: int) -> None:
        words = "interrupted" if number == signal.SIGINT else f"ended by {name(number)}"
        super().__init__(words)
        self.number = number

    @property
    def exit_code(self) -> int:
        """Return the exit code that a shell reports for the signal."""
        return 128 + self.number


def name(number: int) -> str:
    """Return the signal's name as kill(1) prints it."""
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals between the first and the last
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def raise_all() -> None:
    """From now on, raise each signal that is not ignored as Ended in the main thread."""
    pid = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        _leave_forked(pid, number)
        if not any(isinstance(each, Ended) for each in chain(sys.exception())):
            raise Ended(number)

    own = (signal.SIG_DFL, signal.default_int_handler)
    _install({each: end for each in ENDING if signal.getsignal(each) in own})


def why(end: KeyboardInterrupt) -> str:
    """Return the reason in words."""
    return str(end) or "interrupted"


def code_of_service(end: KeyboardInterrupt) -> int:
    """Return the exit code of a service: 0 if a user ended it, else as a shell reports it."""
    return end.exit_code if isinstance(end, Ended) and end.number not in _ASKED else 0


@contextmanager
def held() -> Iterator[None]:
    """Run the body without interruption: signals that arrive meanwhile are raised after it.

    This uses handlers, not a mask: a thread without the mask would take the signal, and Python
    would still interrupt the main thread. Other threads than the main one are never interrupted.
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

    left_alone = (signal.SIG_IGN, None)  # None: a handler that Python did not install
    before = _install({each: keep for each in ENDING if signal.getsignal(each) not in left_alone})
    try:
        yield
    finally:
        _install(before)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


def _leave_forked(pid: int, number: int) -> None:
    """End a child that a library forked at once: it must not undo what its parent made."""
    if os.getpid() != pid:
        os._exit(128 + number)


_Handler = Callable[[int, FrameType | None], Any] | int | None


def _install(handlers: Mapping[int, _Handler]) -> dict[int, _Handler]:
    """Install all handlers while their signals are blocked; return the former handlers."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
        return {each: signal.signal(each, handler) for each, handler in handlers.items()}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
