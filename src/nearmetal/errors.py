"""What can go wrong in the user's world. Programmer errors assert instead."""

from __future__ import annotations


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
