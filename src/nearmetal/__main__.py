"""Entry point of `python -m nearmetal` and of the command `nearmetal`: errors become exit codes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import NoReturn

from nearmetal.commands import characters
from nearmetal.errors import NearmetalError, chain, in_words
from nearmetal.machine.processes import signals, supervisor

_BROKEN_PIPE = 128 + signal.SIGPIPE  # as a shell shows a program that SIGPIPE ended
_OF_TYPER = (1, 130)  # typer's exit codes for a broken pipe and for KeyboardInterrupt


def main() -> NoReturn:
    """Run a command; an error that is no bug is one line on stderr."""
    characters.tolerant(sys.stdout, sys.stderr)
    signals.raise_all()
    try:
        code = _run()
    except KeyboardInterrupt as end:  # after the command, while its changes were undone
        code = _ended(end)
    sys.exit(_flushed(code))


def _run() -> int:
    """Run the command; returns its exit code."""
    try:
        try:
            from nearmetal.commands.cli import app  # slow: Ctrl-C during it is handled, too

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
        # An error after a signal: the signal's. Without words it is Python's own, because the
        # signal interrupted it, such as SystemError.
        ended = next((each for each in chain(error) if isinstance(each, signals.Ended)), None)
        if words is not None:
            _complain(words)
            return ended.exit_code if ended else 1
        if ended is None:
            raise
        return _ended(ended)
    return 0


def _undo_what_is_left() -> None:
    if "nearmetal.machine.journal" in sys.modules:  # else nothing was journaled
        from nearmetal.machine.journal import open_journal

        # A folder that this user may not read holds no records of this process.
        with contextlib.suppress(PermissionError, NotADirectoryError):
            open_journal().close()


def _code(end: SystemExit) -> int:
    """Exit code of a SystemExit; for typer's, from the exception that typer turned into it."""
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
    if code != _BROKEN_PIPE:  # after a broken pipe there is no reader
        _complain(signals.why(end))
    return code


def _complain(words: str) -> None:
    try:
        print(supervisor.line(words, 3), file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone
        _silence(2)


def _flushed(code: int) -> int:
    """Flush stdout and stderr, and report a failure; returns the exit code.

    Otherwise the interpreter would flush them at its end, and a failure there makes the exit code
    120.
    """
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
    """Discard what a stream still buffers, so that the interpreter's last flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


if __name__ == "__main__":
    main()
