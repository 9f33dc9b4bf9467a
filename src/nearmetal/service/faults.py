"""Faults of a request: an exception in `answer` becomes a drop, counted by its class."""

from __future__ import annotations

from collections.abc import Mapping

INDEX_ERROR = "index_error"
ZERO_DIVISION = "zero_division"
ASSERT_ERROR = "assert_error"
RAISED = "raised"  # any other exception
BAD_RETURN = "bad_return"  # answer returned a length or a drop word that there is not

# The drop words of faults, in order, behind the service's own.
FAULTS = (INDEX_ERROR, ZERO_DIVISION, ASSERT_ERROR, RAISED, BAD_RETURN)

_CLASSES = (
    (IndexError, INDEX_ERROR),
    (ZeroDivisionError, ZERO_DIVISION),
    (AssertionError, ASSERT_ERROR),
)


def word(fault: type[BaseException]) -> str:
    """Return the drop word of an exception's class."""
    return next((name for kind, name in _CLASSES if issubclass(fault, kind)), RAISED)


def in_words(event: Mapping[str, object]) -> str:
    """Say where the first request of each class failed; empty: none did.

    event: a line `counters` or `final` of a server (docs/programs.md). It may come from another
    machine, so what is not of that form is left out.
    """
    found = event.get("faults")
    each = found if isinstance(found, list) else []
    return "; ".join(_sentence(fault) for fault in each if isinstance(fault, Mapping))


def _sentence(fault: Mapping[str, object]) -> str:
    sentence = f"first {fault.get('word')}: {fault.get('file')}, line {fault.get('line')}"
    return f"{sentence} ({fault['what']})" if fault.get("what") else sentence
