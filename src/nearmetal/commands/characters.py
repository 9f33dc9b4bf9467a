"""What a terminal that cannot show a character shows in its place.

Output has the encoding that the terminal asks for (PYTHONIOENCODING, the locale). Where that
lacks one of our signs, a plain one says the same: a floor stays a floor.
"""

from __future__ import annotations

import codecs
import io
from typing import TextIO

_HANDLER = "nearmetal-plain"
_PLAIN = {"≥": ">=", "≤": "<=", "†": "+", "µ": "u", "…": "...", "→": "->", "·": ".", "±": "+-"}
_UNKNOWN = "?"


def tolerant(*streams: TextIO) -> None:
    """No character ends the command that prints it."""
    codecs.register_error(_HANDLER, _plain)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_PLAIN.get(each, _UNKNOWN) for each in lost), error.end
