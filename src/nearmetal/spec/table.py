"""Read the flat tables: one row per line, columns separated by blanks, `#` begins a comment.

sh and meson read the same files, so there is no quoting: `-` means nothing, a comma separates the
items of a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from nearmetal.errors import BadInputError

Row = TypeVar("Row")
_NOTHING = "-"


def words(path: Path, columns: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Return (line number, words) of every row; each row has one word per column.

    Raises BadInputError: the file cannot be read, or a row has another number of words.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"{path}: cannot be read: {error}") from error
    found = [(number, line.partition("#")[0].split()) for number, line in enumerate(lines, 1)]
    for number, row in found:
        if row and len(row) != len(columns):
            raise BadInputError(
                f"{path}:{number}: {len(row)} columns, but the table has {len(columns)}"
                f" ({' '.join(columns)}); write - for nothing"
            )
    return [(number, row) for number, row in found if row]


def read(
    path: Path, columns: Sequence[str], made: Callable[[dict[str, str | None]], Row]
) -> tuple[Row, ...]:
    """Return the rows of a file. Raises BadInputError.

    made: makes a row from its columns by name; a column with nothing is None.
    """
    rows = []
    for number, row in words(path, columns):
        texts = [None if word == _NOTHING else word for word in row]
        try:
            rows.append(made(dict(zip(columns, texts, strict=True))))
        except ValidationError as error:
            raise BadInputError(f"{path}:{number}: {_reasons(error)}") from error
    return tuple(rows)


def listed(text: str | None) -> tuple[str, ...]:
    """Return the items of a comma-separated list; () for None."""
    return tuple(text.split(",")) if text else ()


def _reasons(error: ValidationError) -> str:
    """Return which columns are wrong and why, on one line."""
    each = (
        (".".join(map(str, detail["loc"])), detail["msg"].removeprefix("Value error, "))
        for detail in error.errors()
    )
    return "; ".join(f"{where}: {what}" if where else what for where, what in each)
