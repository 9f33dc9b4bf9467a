"""What every command's output must bear: one that knows no Unicode, as with LC_ALL=POSIX."""

from __future__ import annotations

import codecs

_ERRORS = "nearmetal.plain"
_PLAIN = {"≥": ">=", "µ": "u", "†": "+", "…": "..."}


def take_any_text(*streams: object) -> None:
    """Where an output cannot say a sign, it says it in others."""
    codecs.register_error(_ERRORS, _plain)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_ERRORS)


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign, "?") for sign in signs), error.end
