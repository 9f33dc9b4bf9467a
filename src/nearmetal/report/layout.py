"""Tables and lines for people, which keep what they are for however narrow the terminal is.

A table says what it can do without: where there is too little room its least important columns go,
one after the other; then the column that wraps goes on below. Nothing is ever cut. Without a
terminal there is all the room that it takes, unless COLUMNS says otherwise.
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
_ENDLESS = 10_000  # columns, of what is no terminal


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    spare: int = 0  # in which order it goes where there is no room: the highest first; 0: never
    wraps: int = 0  # its words may go on below, in so many columns at least; 0: they may not
    right: bool = False


def columns(stream: TextIO | None = None) -> int | None:
    """How wide an output is (stdout); None: as wide as it takes."""
    stream = stream or sys.stdout
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else None


def console() -> Console:
    """Where tables with a style go: in a pipe without colours, and as wide as they are."""
    return Console(width=columns() or _ENDLESS, highlight=False, soft_wrap=False)


def kept(
    table: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None, gap: int = _GAP
) -> list[int]:
    """Which columns there is room for, by their places."""
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
    """How narrow a table of these columns can be."""
    wide = 0
    for place in places:
        whole = natural(table, rows, place)
        wide += min(whole, table[place].wraps) if table[place].wraps else whole
    return wide + gap * (len(places) - 1)


def natural(table: Sequence[Column], rows: Sequence[Sequence[str]], place: int) -> int:
    """How wide a column is where there is room."""
    texts = [table[place].name, *(row[place] for row in rows)]
    return max(len(each) for text in texts for each in text.split("\n"))


def table(
    heads: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None, *, head: bool = True
) -> Iterator[str]:
    """Lines of a table; head: with the names of its columns."""
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
    """Too narrow for columns: the first one's words, and what belongs to them beneath."""
    for row in rows:
        yield from paragraph(row[places[0]], width)
        for place in places[1:]:
            yield from paragraph(row[place], width, indent=_GAP)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(1, width), break_long_words=False, break_on_hyphens=False) or [
        ""
    ]


def paragraph(text: str, width: int | None, *, indent: int = 0) -> list[str]:
    """Words in lines; one line where there is room without end."""
    margin = " " * indent
    if width is None:
        return [margin + text] if text else []
    lines = textwrap.wrap(
        text, max(1, width - indent), break_long_words=False, break_on_hyphens=False
    )
    return [margin + line for line in lines]


def line(parts: Sequence[tuple[int, str]], width: int | None) -> str:
    """One line of parts, each with the order in which it goes where there is no room (the highest
    first; 0: never)."""
    left = [part for part in parts if part[1]]
    while width is not None and len("  ".join(text for _, text in left)) > width:
        spare = max(left, key=lambda part: part[0])
        if spare[0] == 0:
            break
        left.remove(spare)
    return "  ".join(text for _, text in left)
