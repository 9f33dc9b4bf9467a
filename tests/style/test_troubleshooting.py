"""Messages that docs/troubleshooting.md quotes are in the source, word for word."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest
import tree

PAGE = "docs/troubleshooting.md"
GAP = "\0"  # stands for a value that is put into a message
_ROW = re.compile(r"^\| (?!message )(.*?) \|", re.MULTILINE)
_QUOTED = re.compile(r"`([^`]+)`")
_C_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')


def quoted(text: str) -> list[str]:
    """Messages in the first column of the page's tables that are quoted whole."""
    return [cell[1:-1] for cell in _ROW.findall(text) if _QUOTED.fullmatch(cell)]


def literals(name: str, text: str) -> Iterator[str]:
    """String literals of a source file. Neighbouring C literals are one."""
    if name.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            if isinstance(node, ast.JoinedStr):
                yield GAP.join(str(each.value) for each in _constants(node))
    elif name.endswith((".c", ".h")):
        yield from _C_STRING.findall(re.sub(r'"\s*"', "", text))
    else:
        yield text.replace('" \\\n                "', " ")


def _constants(node: ast.JoinedStr) -> list[ast.Constant]:
    return [each for each in node.values if isinstance(each, ast.Constant)]


@cache
def source() -> str:
    """Every literal of the program, one a line."""
    names = ["nearmetal", *tree.files(".sh", ".py", ".c", ".h")]
    ours = [name for name in names if name.startswith(("nearmetal", "src/", "native/"))]
    return "\n".join(each for name in ours for each in literals(name, tree.read(name)))


def missing(message: str, text: str) -> list[str]:
    """The parts of a message between its `...` that the text does not contain."""
    return [part for part in map(str.strip, message.split("...")) if part not in text]


@pytest.mark.parametrize("message", quoted(tree.read(PAGE)))
def test_a_quoted_message_is_printed_somewhere(message: str) -> None:
    assert missing(message, source()) == [], f"{PAGE}: no such words in the source"


def test_a_message_that_no_program_prints_is_found() -> None:
    page = "| message | cause |\n|---|---|\n| `no ... here` | a |\n| no answer, `source` | b |\n"
    assert quoted(page) == ["no ... here"]
    python = "\n".join(literals("a.py", 'say(f"no {x} was"\n    f" found", "here")\n'))
    assert missing("no ... was found", python) == []
    assert missing("no ... here", python) == []
    assert missing("no ... there", python) == ["there"]
    c = "\n".join(literals("a.c", 'x = "one "\n    "two";\n'))
    assert missing("one two", c) == []
    assert missing("two three", c) == ["two three"]
