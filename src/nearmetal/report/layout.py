"""Layout of tables and lines for terminals of any width.

Each column of a table says how important it is. In a narrow terminal the least important columns
are left out, one after the other; then the column that wraps is written below the others. Words are
never cut. Without a terminal the width is unlimited, unless COLUMNS gives one.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TextIO

from rich.console import Console

_GAP = 2
_ENDLESS = 10_000  # columns of an output that is no terminal


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    spare: int = 0  # order of being left out: the highest first; 0: never
    wraps: int = 0  # smallest width to which its words may be wrapped; 0: not wrapped
    right: bool = False


def columns(stream: TextIO | None = None) -> int | None:
    """Width of an output (stdout); None: unlimited."""
    stream = stream or sys.stdout  # None where it was closed before the start
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    if stream is None or not stream.isatty():
        return None
    return os.get_terminal_size(stream.fileno()).columns


def console() -> Console:
    """Console for tables with a style; in a pipe without colours and with unlimited width."""
    return Console(width=columns() or _ENDLESS, highlight=False, soft_wrap=False)


def kept(
    table: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None, gap: int = _GAP
) -> list[int]:
    """Indexes of the columns for which there is room."""
    places = list(range(len(table)))
    while width is not None and least(table, rows, places, gap) > width:
        spare = max(places, key=lambda place: table[place].spare)
        if table[spare].spare == 0:
            break
        places.remove(spare)
    return places


def least(
    table: Sequence[Column],
    rows: Sequence[Sequence[str]],
    places: Sequence[int],
    gap: int = _GAP,
) -> int:
    """Smallest width of a table of these columns."""
    wide = 0
    for place in places:
        whole = natural(table, rows, place)
        wide += min(whole, table[place].wraps) if table[place].wraps else whole
    return wide + gap * (len(places) - 1)


def natural(table: Sequence[Column], rows: Sequence[Sequence[str]], place: int) -> int:
    """Width of a column that is not wrapped."""
    texts = [table[place].name, *(row[place] for row in rows)]
    return max(len(each) for text in texts for each in text.split("\n"))


def table(
    heads: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None, *, head: bool = True
) -> Iterator[str]:
    """Lines of a table; head: include the names of its columns."""
    places = kept(heads, rows, width)
    wide = {place: natural(heads, rows, place) for place in places}
    wrapping = next((place for place in places if heads[place].wraps), None)
    if width is not None and wrapping is not None:
        others = sum(wide[place] + _GAP for place in places if place != wrapping)
        if width - others < min(wide[wrapping], heads[wrapping].wraps):
            yield from _below(heads, rows, places, width)
            return
        wide[wrapping] = min(wide[wrapping], width - others)
    shown = [[column.name for column in heads], *rows] if head else rows
    for row in shown:
        cells = [_wrapped(row[place], wide[place]) for place in places]
        for parts in zip_longest(*cells, fillvalue=""):
            line = (
                part.rjust(wide[place]) if heads[place].right else part.ljust(wide[place])
                for place, part in zip(places, parts, strict=True)
            )
            yield (" " * _GAP).join(line).rstrip()


def _below(
    heads: Sequence[Column], rows: Sequence[Sequence[str]], places: Sequence[int], width: int
) -> Iterator[str]:
    """Lines of a table too narrow for columns: the first cell, and the others indented below."""
    for row in rows:
        yield from paragraph(row[places[0]], width)
        for place in places[1:]:
            yield from paragraph(row[place], width, indent=_GAP)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(1, width), break_long_words=False, break_on_hyphens=False) or [
        ""
    ]


def paragraph(text: str, width: int | None, *, indent: int = 0) -> list[str]:
    """Wrap a text into lines; one line if width is None."""
    margin = " " * indent
    if width is None:
        return [margin + text] if text else []
    lines = textwrap.wrap(
        text, max(1, width - indent), break_long_words=False, break_on_hyphens=False
    )
    return [margin + line for line in lines]


def line(parts: Sequence[tuple[int, str]], width: int | None) -> str:
    """Join parts into one line, without those for which there is no room.

    parts: (order of being left out, text); the highest order first, 0: never.
    """
    left = [part for part in parts if part[1]]
    while width is not None and len("  ".join(text for _, text in left)) > width:
        spare = max(left, key=lambda part: part[0])
        if spare[0] == 0:
            break
        left.remove(spare)
    return "  ".join(text for _, text in left)
