"""What can go wrong in the user's world. Programmer errors assert instead."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class NearmetalError(Exception):
    """Something failed. The message is one line: what, where, what to do."""

    exit_code = 1


class BadInputError(NearmetalError):
    """A spec, flag or file is wrong."""

    exit_code = 2


class LostError(NearmetalError):
    """A machine of the testbed is gone, and the run with it; what was measured is kept."""


class CannotRunError(NearmetalError):
    """A rung cannot run on this machine: it keeps its row, with this reason."""


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """In words: a rung, wire or service of that name is not there; the nearest is, and these."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(known)})"
