"""The groups of system packages that rows need.

Sources: the file `rows` in this folder and the table of datapaths (spec/datapaths). The launcher
reads both too.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from nearmetal.spec import table
from nearmetal.spec.datapaths import datapaths


def groups_of(row: str) -> set[str]:
    """Return the groups of system packages that a row needs besides Python and a C compiler."""
    return {group for pattern, group in _lines() if fnmatchcase(row, pattern)}


def rows_of(group: str) -> str:
    """Return the rows that need a group, in words."""
    return ", ".join(sorted(pattern for pattern, each in _lines() if each == group))


def package_groups() -> set[str]:
    """Return the groups that datapaths need."""
    return {each.group for each in datapaths() if each.group is not None}


def _lines() -> Iterator[tuple[str, str]]:
    """Yield a pattern of row names, and a group that these rows need."""
    for _, (pattern, group) in table.words(Path(__file__).with_name("rows"), ("rows", "group")):
        yield pattern, group
    for each in datapaths():
        if each.group is not None:
            yield from ((f"{place}-{each.name}*", each.group) for place in each.places)
