"""The file `rows` beside this one, which the launcher reads too: what rows need of set-up."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path


def groups_of(row: str) -> set[str]:
    """The groups of system packages that a row needs beside Python and a C compiler."""
    return {group for pattern, group in _lines() if fnmatchcase(row, pattern)}


def rows_of(group: str) -> str:
    """The rows that need a group, in words."""
    return ", ".join(pattern for pattern, each in _lines() if each == group)


def _lines() -> list[tuple[str, str]]:
    text = Path(__file__).with_name("rows").read_text(encoding="utf-8")
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return [(pattern, group) for pattern, *groups in lines for group in groups]
