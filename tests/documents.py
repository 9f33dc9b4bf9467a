"""The blocks and commands that documents show, and how each is tested.

A block is fenced. A comment on the line above it, invisible to a reader of the page, selects the
test:

    (nothing)                 sh, python: run unchanged; toml: read as a spec, or part of one
    <!-- needs: A, B -->      run, after these needs are met: NEEDS, below
    <!-- not run: WHY -->     listed; the program must still know its command lines
    <!-- tested by: FILE -->  that test reads it from the document
    <!-- prints -->           the output of the block above; compared by its shape
    <!-- usage -->            a program's usage: each option must be one of the program's
    <!-- drawing -->          not run
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from nearmetal.paths import source_root

_FENCED = re.compile(
    r"(?:^ *<!-- (?P<mark>[^\n]*) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_SPAN = re.compile(r"`([^`]+)`")
_COMMAND = re.compile(r"\./nearmetal((?: [^\n|;&)#]*)?)")
_FOLDERS = ("data", "docs", "native", "src")
_NUMBER = re.compile(r"\d+(?:[.,:-]\d+)*")
RUN = ("sh", "python", "toml")  # languages that are run, or read, without a mark
FILES = ("ini", "dockerfile")  # read by a test of their own
SHOWN = ("text", "json")  # never run: the mark says why
MARKS = {
    "": RUN,
    "needs": RUN,
    "not run": RUN,
    "tested by": (*RUN, *FILES, *SHOWN),
    "prints": SHOWN,
    "usage": SHOWN,
    "drawing": SHOWN,
}
NEEDS = {
    "a run": "a finished run of some seconds, the last one",
    "a server on port 11211": "host-mmsg on loopback",
    "port 11211": "a free port on loopback",
    "the files it names": "files that a spec names, with made-up content",
    "programs": "the native programs, on the PATH and in the folder",
    "row": "this machine can run the row named after the word",
    "SIGUSR1": "sent when the command is ready, before its end",
    "Ctrl-C": "sent to end the command when it is ready",
    "--full": "the full edition, because the block takes long",
}


@dataclass(frozen=True)
class Block:
    """A block of a document. line: line number of its fence, from 1."""

    file: str
    line: int
    language: str
    mark: str  # such as "needs"; "" without a mark
    words: str  # the text after the mark's colon
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def needs(self) -> list[str]:
        return [each.strip() for each in self.words.split(",")] if self.mark == "needs" else []

    @property
    def is_run(self) -> bool:
        """Whether a test runs it unchanged."""
        return self.mark == "tested by" or (self.language in RUN and self.mark != "not run")


def files() -> list[str]:
    """Return the path of every page, relative to the root."""
    root = source_root()
    found = [*root.glob("*.md"), *(page for top in _FOLDERS for page in (root / top).rglob("*.md"))]
    return sorted(str(path.relative_to(root)) for path in found)


def blocks(file: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    return list(_blocks(file, _read(file)))


def every() -> list[Block]:
    """Return the blocks of all pages."""
    return [block for file in files() for block in blocks(file)]


def _blocks(file: str, text: str) -> Iterator[Block]:
    for found in _FENCED.finditer(text):
        mark, _, words = (found["mark"] or "").partition(":")
        line = text.count("\n", 0, found.start("language")) + 1
        body = textwrap.dedent(found["body"])
        yield Block(file, line, found["language"], mark.strip(), words.strip(), body)


def printed(block: Block) -> str | None:
    """Return the output that the page shows for a block; None: none is shown."""
    own = blocks(block.file)
    behind = own[own.index(block) + 1 :][:1]
    return behind[0].text if behind and behind[0].mark == "prints" else None


def shown(file: str, begins: str) -> str:
    """Return the one block of a page that begins so, for a test that a mark names."""
    (found,) = (block.text for block in blocks(file) if block.text.startswith(begins))
    return found


def prose(file: str) -> str:
    """Return the page with its blocks replaced by empty lines."""
    return without_blocks(_read(file))


def without_blocks(text: str) -> str:
    """Return a page's text with its blocks replaced by empty lines."""
    return _FENCED.sub(lambda found: "\n" * found[0].count("\n"), text)


def inline(file: str) -> list[str]:
    """Return each text between backticks in a page's prose, as one line."""
    return [" ".join(found.split()) for found in _SPAN.findall(prose(file))]


def command_lines(text: str) -> list[list[str]]:
    """Return the words after each `./nearmetal` of a block, or of prose."""
    joined = text.replace("\\\n", " ")
    return [shlex.split(found) for found in _COMMAND.findall(joined)]


def shape(shown: str) -> re.Pattern[str]:
    """Return a pattern for the shape of an output: the same words and columns, with any numbers,
    dates and distances. `...` stands for any text; alone on a line, for any lines."""
    lines = [_line(line) for line in shown.strip("\n").splitlines()]
    return re.compile("".join(lines), re.MULTILINE)


def _line(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*"
    parts = []
    for word in line.split():
        pieces = [_number(piece) for piece in word.split("...")]
        parts.append(".*".join(pieces))
    return r"^\s*" + r"\s+".join(parts) + r"\s*$\n?"


def _number(text: str) -> str:
    return r"\d+(?:[.,:-]\d+)*".join(map(re.escape, _NUMBER.split(text)))


def _read(file: str) -> str:
    return (source_root() / file).read_text(encoding="utf-8")
