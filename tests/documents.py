"""The blocks and commands that documents show, and what is to be done with each.

A block is fenced. A comment on the line above it, which a reader of the page does not see, says
what becomes of it:

    (nothing)                 sh, python: run as it stands; toml: read as a spec, or part of one
    <!-- needs: A, B -->      run, once that is there: NEEDS, below
    <!-- not run: WHY -->     listed; its command lines must still be known to the program
    <!-- tested by: FILE -->  that test reads it from the document
    <!-- prints -->           what the block above prints; compared in shape
    <!-- usage -->            of a program: each option is one of its own
    <!-- drawing -->          nothing to run
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
RUN = ("sh", "python", "toml")  # languages that are run, or read, unless a mark says otherwise
FILES = ("ini", "dockerfile")  # which a test of their own reads
SHOWN = ("text", "json")  # what is not run: what it is, the mark says
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
    "a run": "a finished one, of seconds, which is the last",
    "a server on port 11211": "of loopback: host-mmsg",
    "port 11211": "of loopback, which nobody has",
    "the files it names": "of a spec: made up",
    "programs": "the native ones, on the PATH and in the folder",
    "row": "this machine can run the row that is named behind it",
    "SIGUSR1": "sent once it is ready, before it is ended",
    "Ctrl-C": "its end, once it is ready",
    "--full": "the full edition: it takes long",
}


@dataclass(frozen=True)
class Block:
    """One of a document. line: of its fence, from 1."""

    file: str
    line: int
    language: str
    mark: str  # as in "needs"; "" without one
    words: str  # behind the mark's colon
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def needs(self) -> list[str]:
        return [each.strip() for each in self.words.split(",")] if self.mark == "needs" else []

    @property
    def is_run(self) -> bool:
        """As it stands, by the test of documents or one that reads it from there."""
        return self.mark == "tested by" or (self.language in RUN and self.mark != "not run")


def files() -> list[str]:
    """Every page, from the root."""
    root = source_root()
    found = [*root.glob("*.md"), *(page for top in _FOLDERS for page in (root / top).rglob("*.md"))]
    return sorted(str(path.relative_to(root)) for path in found)


def blocks(file: str) -> list[Block]:
    """In the page's order."""
    return list(_blocks(file, _read(file)))


def every() -> list[Block]:
    """Of all pages."""
    return [block for file in files() for block in blocks(file)]


def _blocks(file: str, text: str) -> Iterator[Block]:
    for found in _FENCED.finditer(text):
        mark, _, words = (found["mark"] or "").partition(":")
        line = text.count("\n", 0, found.start("language")) + 1
        body = textwrap.dedent(found["body"])
        yield Block(file, line, found["language"], mark.strip(), words.strip(), body)


def printed(block: Block) -> str | None:
    """What is shown as its output; None: nothing is."""
    own = blocks(block.file)
    behind = own[own.index(block) + 1 :][:1]
    return behind[0].text if behind and behind[0].mark == "prints" else None


def shown(file: str, begins: str) -> str:
    """The one block of a page that begins so: for a test that a mark names."""
    (found,) = (block.text for block in blocks(file) if block.text.startswith(begins))
    return found


def prose(file: str) -> str:
    """The page without its blocks; as many lines."""
    return _FENCED.sub(lambda found: "\n" * found[0].count("\n"), _read(file))


def inline(file: str) -> list[str]:
    """What stands between backticks in a page's prose, on one line each."""
    return [" ".join(found.split()) for found in _SPAN.findall(prose(file))]


def command_lines(text: str) -> list[list[str]]:
    """The words behind each `./nearmetal` of a block, or of prose."""
    joined = text.replace("\\\n", " ")
    return [shlex.split(found) for found in _COMMAND.findall(joined)]


def shape(shown: str) -> re.Pattern[str]:
    """What has the shape of a shown output: the same words and columns, whatever its numbers,
    dates and distances. `...` stands for anything; alone on a line, for lines."""
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
