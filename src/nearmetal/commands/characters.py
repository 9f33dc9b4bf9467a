"""Replace characters that the output's encoding cannot show.

The encoding is that of PYTHONIOENCODING or the locale. Signs that it lacks are printed in ASCII
with the same meaning, so a floor (≥) is still marked as one (>=).
"""

from __future__ import annotations

import codecs
import io
from typing import TextIO

_HANDLER = "nearmetal-plain"
_PLAIN = {"≥": ">=", "≤": "<=", "†": "+", "µ": "u", "…": "...", "→": "->", "·": ".", "±": "+-"}
_UNKNOWN = "?"


def tolerant(*streams: TextIO) -> None:
    """Set the streams to replace a character that they cannot encode, instead of raising."""
    codecs.register_error(_HANDLER, _plain)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(each, _UNKNOWN) for each in lost), error.end
