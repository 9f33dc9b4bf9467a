"""python -m nearmetal, and the command `nearmetal`: the process around the command line."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import NoReturn

from nearmetal.commands import characters
from nearmetal.errors import NearmetalError, chain, in_words
from nearmetal.machine.processes import signals, supervisor

_BROKEN_PIPE = 128 + signal.SIGPIPE  # as of a program that SIGPIPE ended
_OF_TYPER = (1, 130)  # what it makes of a broken pipe and of KeyboardInterrupt


def main() -> NoReturn:
    """Run a command; what goes wrong in the user's world is one line on stderr."""
    characters.tolerant(sys.stdout, sys.stderr)
    signals.raise_all()
    try:
        code = _run()
    except KeyboardInterrupt as end:  # behind the command, while what was left was undone
        code = _ended(end)
    sys.exit(_flushed(code))


def _run() -> int:
    """The command's exit code."""
    try:
        try:
            from nearmetal.commands.cli import app  # takes a moment, in which Ctrl-C may come

            app(prog_name="nearmetal")
        finally:
            _undo_what_is_left()
    except SystemExit as end:
        return _code(end)
    except NearmetalError as error:
        _complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        return _BROKEN_PIPE
    except Exception as error:
        words = in_words(error)
        if words is None:
            raise
        _complain(words)
        ends = (each for each in chain(error) if isinstance(each, signals.Ended))
        return next((end.exit_code for end in ends), 1)  # 1: but for what broke on the way out
    return 0


def _undo_what_is_left() -> None:
    if "nearmetal.machine.journal" in sys.modules:  # else nothing was written down
        from nearmetal.machine.journal import open_journal

        # A folder that we may not look into holds nothing of ours.
        with contextlib.suppress(PermissionError, NotADirectoryError):
            open_journal().close()


def _code(end: SystemExit) -> int:
    """What the command line's library left with; it has lost why."""
    code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    if code in _OF_TYPER:
        for each in chain(end.__context__):
            if isinstance(each, KeyboardInterrupt):
                return _ended(each)
            if isinstance(each, BrokenPipeError):
                return _BROKEN_PIPE
    return code


def _ended(end: KeyboardInterrupt) -> int:
    code = end.exit_code if isinstance(end, signals.Ended) else 128 + signal.SIGINT
    if code != _BROKEN_PIPE:  # nothing reads it any more
        _complain(signals.why(end))
    return code


def _complain(words: str) -> None:
    try:
        print(supervisor.line(words, 3), file=sys.stderr, flush=True)
    except OSError:  # the terminal has gone, and we go, too
        _silence(2)


def _flushed(code: int) -> int:
    """What is still to be said is said now, or that it could not be. What a stream still holds when
    the interpreter ends, and cannot write, would make the exit code 120."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence(1)
        code = code or _BROKEN_PIPE
    except OSError as error:
        _silence(1)
        _complain(f"cannot write to stdout: {error.strerror}")
        code = code or 1
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        _silence(2)
    return code


def _silence(number: int) -> None:
    """Nothing that is still buffered for it is tried again when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


if __name__ == "__main__":
    main()
