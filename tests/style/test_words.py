"""Plain words: no file uses a word that CONTRIBUTING.md lists, and no docstring or C comment begins
with one of two words that make no sentence.

The listed words are in CONTRIBUTING.md only, so this file does not contain them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
import tree

# File, line from 1, and the word in lower case; of a docstring or comment its first word.
Found = tuple[str, int, str]

LIST = "CONTRIBUTING.md"
NOT_OURS = ("LICENSE", ".csv", ".pdf", ".png")
EXCEPTIONS_MAX = 5
UNIX_USER = "no" + "body"
# (file, word): why it stays
EXCEPTIONS = {
    ("tests/wire/targets.py", UNIX_USER): "the user who runs memcached",
}
_ROW = re.compile(r"^\| (?:`[a-z ]+`(?:, )?)+ \|.*\n", re.MULTILINE)
_COMMENT = re.compile(r"/\*+\s*(Of|What)\b")
_FIRST = re.compile(r"\s*(Of|What)\b")
_HAS_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def section() -> str:
    """The part of CONTRIBUTING.md that lists the words."""
    return tree.read(LIST).partition("\n## Words\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[str]:
    """Lines of the table whose first column has words in backticks."""
    return _ROW.findall(text)


def words() -> list[str]:
    """Words and phrases of the table's first column."""
    return [word for row in rows(section()) for word in re.findall(r"`(.*?)`", row.split("|")[1])]


def pattern(listed: list[str]) -> re.Pattern[str]:
    """Any of the words, whole; a phrase also where a comment wraps it."""
    phrases = (r"[\s#*/]+".join(map(re.escape, phrase.split())) for phrase in listed)
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b", re.IGNORECASE)


def found(name: str, text: str) -> Iterator[Found]:
    """Every wrong word in the text of a file."""
    for match in pattern(words()).finditer(text):
        word = " ".join(re.findall(r"[a-z]+", match[0].lower()))
        yield name, _line(text, match.start()), word
    if name.endswith((".c", ".h", ".S", ".in")):
        for match in _COMMENT.finditer(text):
            yield name, _line(text, match.start()), match[1]
    if name.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, _HAS_DOCSTRING):
                first = _FIRST.match(ast.get_docstring(node, clean=False) or "")
                if first is not None:
                    yield name, node.body[0].lineno, first[1]


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


def checked() -> list[str]:
    """Files whose words are the project's own."""
    return [name for name in tree.files() if not name.endswith(NOT_OURS)]


def everything() -> list[Found]:
    """Wrong words of the tree, the rows of the list left out."""
    return [
        each for name in checked() for each in found(name, _without_list(name, tree.read(name)))
    ]


def _without_list(name: str, text: str) -> str:
    """Empty the rows of the list; the number of lines stays."""
    return _ROW.sub("\n", text) if name == LIST else text


def test_no_word_of_the_list_is_used() -> None:
    wrong = [each for each in everything() if (each[0], each[2]) not in EXCEPTIONS]
    shown = [f"{name}:{line}: {word}" for name, line, word in wrong]
    assert not shown, "\n".join([f"replace these ({LIST}, Words):", *shown])


def test_exceptions_are_few_and_needed() -> None:
    assert len(EXCEPTIONS) <= EXCEPTIONS_MAX
    used = {(name, word) for name, _, word in everything()}
    for key, reason in EXCEPTIONS.items():
        assert reason.strip(), f"{key}: say why"
        assert key in used, f"{key}: not needed; remove it"


def test_the_list_is_read() -> None:
    assert len(words()) >= 10
    assert len(rows(tree.read(LIST))) == len(rows(section())), "a second table has such rows"


@pytest.mark.parametrize("name", ["a.py", "a.c", "a.md", "a.toml", "nearmetal"])
@pytest.mark.parametrize("word", words())
def test_a_word_is_found(name: str, word: str) -> None:
    text = f"# One line.\n# {word.capitalize()}'s line.\n"
    expected = [(name, 2, word)]
    assert list(found(name, text)) == expected
    assert list(found(name, text.replace(word.capitalize(), f"x{word}"))) == []


@pytest.mark.parametrize("word", [word for word in words() if " " in word])
@pytest.mark.parametrize("gap", ["\n * ", "\n# ", "\n    "])
def test_a_phrase_is_found_across_lines(word: str, gap: str) -> None:
    assert [each[2] for each in found("a.md", word.replace(" ", gap))] == [word]


@pytest.mark.parametrize("word", ["Of", "What"])
def test_a_first_word_is_found(word: str) -> None:
    inside = f'    """{word} one."""\n'
    for text, line in (
        (f'"""{word} one."""\n', 1),
        (f'"""\n{word} one.\n"""\n', 1),
        (f"class A:\n{inside}", 2),
        (f"def a():\n{inside}", 2),
        (f"async def a():\n{inside}", 2),
        (f"class A:\n    def a(self):\n    {inside}", 3),
    ):
        assert list(found("a.py", text)) == [("a.py", line, word)]
    for text in (f"int a; /* {word} one. */\n", f"/*\n{word} one. */\n", f"/** {word} one. */\n"):
        assert list(found("a.c", text)) == [("a.c", 1, word)]
    assert list(found("a.py", f'x = "{word} one."\n"""{word} two."""\n')) == []
    assert list(found("a.c", f"/* Length of one. {word} two. {word}ten. */\n")) == []
