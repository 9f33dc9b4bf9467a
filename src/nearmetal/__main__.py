"""python -m nearmetal, and the command `nearmetal`: the process around the command line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from nearmetal.commands.cli import app
from nearmetal.errors import NearmetalError


def main() -> NoReturn:
    """Run a command; what goes wrong in the user's world is one line on stderr."""
    signal.signal(signal.SIGTERM, _interrupting(os.getpid()))
    try:
        try:
            app(prog_name="nearmetal")
        finally:
            _undo_what_is_left()
    except NearmetalError as error:
        sys.exit(_complain(error))
    sys.exit(0)


def _interrupting(pid: int) -> Callable[[int, FrameType | None], NoReturn]:
    """A kill takes the same way down as Ctrl-C: through every `with`, in reverse.

    But only in the process it was sent to: a library that forks and ends its child by SIGTERM must
    not have that child undo what its parent made.
    """

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        if os.getpid() != pid:
            os._exit(128 + number)
        raise KeyboardInterrupt

    return interrupt


def _undo_what_is_left() -> None:
    if "nearmetal.machine.journal" in sys.modules:  # else nothing was written down
        from nearmetal.machine.journal import open_journal

        open_journal().close()


def _complain(error: NearmetalError) -> int:
    print(f"nearmetal: {error}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    main()
