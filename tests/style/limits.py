"""Lengths of functions and files, measured on the text: without a compiler, for every file.

C is formatted by clang-format, so a function body opens with `{` alone in column 0 and closes with
`}` in column 0.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

C_FUNCTION_LINES = 60
PYTHON_FUNCTION_LINES = 40
FILE_LINES = 400

_NAME = re.compile(r"(\w+)\s*\(")


@dataclass(frozen=True)
class Length:
    """One function, or a whole file (name is empty)."""

    path: str
    name: str
    lines: int
    limit: int

    @property
    def key(self) -> str:
        return f"{self.path}:{self.name}" if self.name else self.path


def lengths(path: str, text: str) -> Iterator[Length]:
    """Return the length of every function of a file, and of the file."""
    yield Length(path, "", text.count("\n"), FILE_LINES)
    if path.endswith((".c", ".h")):
        for name, lines in c_functions(text):
            yield Length(path, name, lines, C_FUNCTION_LINES)
    elif path.endswith(".py"):
        for name, lines in python_functions(text):
            yield Length(path, name, lines, PYTHON_FUNCTION_LINES)


def c_functions(text: str) -> Iterator[tuple[str, int]]:
    """Return the name of each function and its lines, head and braces included."""
    head, start = "", 0
    opened = False
    for number, line in enumerate(text.splitlines(), 1):
        if opened:
            if line.startswith("}"):
                yield head, number - start + 1
                opened = False
        elif line == "{":
            opened = True
        elif line[:1].isalpha() or line[:1] == "_":
            found = _NAME.search(line)
            if found and not line.rstrip().endswith(";"):
                head, start = found.group(1), number


def python_functions(text: str) -> Iterator[tuple[str, int]]:
    """Return every def, nested ones too; decorators do not count, docstrings do."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1
