"""Documents: links lead to files and headings, headings differ, prose is narrow, and paths and
functions that pages name are there. What pages show: test_blocks.py."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
import tree

from documents import without_blocks

WIDTH = 100
DOCUMENTS = tree.files(".md")
# Pages that name what was there before.
OF_THE_PAST = ("docs/moved.md", "CHANGELOG.md")
TOPS = "native|src/nearmetal|tests|specs|docs|data|packaging"
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#{1,6}) +(.+?)(?: +#+)?$", re.MULTILINE)
_PATH = re.compile(rf"`((?:{TOPS})/[^`\s]*)`")
_FUNCTION = re.compile(r"`(\w+)`(?: \||,) `(native/[\w/.]+\.[ch])`")
_OPENS_ITEM = re.compile(r" *(?:[-*] |\d+\. )?")
# Inline code without a blank is one word, and so is what stands around it without a blank.
_WORD = re.compile(r"(?:`[^`]*`|\S)+")


def headings(text: str) -> list[str]:
    """Words of a page's headings, in order."""
    return [found[2] for found in _HEADING.finditer(without_blocks(text))]


def anchors(text: str) -> set[str]:
    """Anchors of a page by GitHub's rule: lower case, punctuation removed, spaces to hyphens, and
    a number behind those that were there before."""
    found: set[str] = set()
    before: Counter[str] = Counter()
    for heading in headings(text):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{slug}-{before[slug]}" if before[slug] else slug)
        before[slug] += 1
    return found


def broken_links(name: str, text: str) -> Iterator[str]:
    """Links of a page that lead to no file, or to no heading of a page."""
    for target in _LINK.findall(without_blocks(text)):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        path = tree.ROOT / PurePosixPath(name).parent / file
        if not path.exists():
            yield f"{name}: {target}: no such file"
        elif anchor and (not file or path.suffix == ".md"):
            page = path.read_text(encoding="utf-8") if file else text
            if anchor not in anchors(page):
                yield f"{name}: {target}: no such heading"


def repeated_headings(text: str) -> list[str]:
    """Headings that a page has twice."""
    return [heading for heading, count in Counter(headings(text)).items() if count > 1]


def wide_lines(name: str, text: str) -> Iterator[str]:
    """Lines of prose that are too wide and could be wrapped. Tables, blocks and single words may be
    wider."""
    for number, line in enumerate(without_blocks(text).splitlines(), 1):
        if len(line) <= WIDTH or line.lstrip().startswith(("|", "<!--", "#")):
            continue
        if len(_WORD.findall(line[len(_OPENS_ITEM.match(line)[0]) :])) > 1:  # type: ignore[index]
            yield f"{name}:{number}: {len(line)} columns: {line.strip()[:50]}..."


def absent_paths(name: str, text: str) -> Iterator[str]:
    """Paths in backticks that are not there; `*` matches, `<...>` and NAME stand for names."""
    for path in _PATH.findall(without_blocks(text)):
        plain = path.partition(":")[0].rstrip("/")
        if re.search(r"[<>]|\.\.\.|\bNAME\b", plain):
            continue
        if not any(tree.ROOT.glob(plain)):
            yield f"{name}: `{path}` is not there"


def absent_functions(name: str, text: str) -> Iterator[str]:
    """Functions that stand beside a C file, as in `turn` | `native/program/serve.c`, without being
    in it."""
    for function, file in _FUNCTION.findall(without_blocks(text)):
        path = tree.ROOT / file
        source = path.read_text(encoding="utf-8") if path.exists() else ""
        if not re.search(rf"^[\w *]*\b{function}\(", source, re.MULTILINE):
            yield f"{name}: {file} has no function {function}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    assert list(broken_links(name, tree.read(name))) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_one_title(name: str) -> None:
    titles = re.findall(r"^# .*", without_blocks(tree.read(name)), re.MULTILINE)
    assert len(titles) == 1, f"{name}: titles {titles}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_heading_stands_twice(name: str) -> None:
    assert repeated_headings(tree.read(name)) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_prose_is_wrapped(name: str) -> None:
    assert list(wide_lines(name, tree.read(name))) == []


@pytest.mark.parametrize("name", [each for each in DOCUMENTS if each not in OF_THE_PAST])
def test_paths_and_functions_are_there(name: str) -> None:
    text = tree.read(name)
    assert [*absent_paths(name, text), *absent_functions(name, text)] == []


PAGE = "# A page\n\n## `nm-<a>-b`: two, in 1\n\n```sh\n# no heading\n```\n\n## Twice\n\n## Twice\n"


def test_anchors_are_githubs() -> None:
    assert anchors(PAGE) == {"a-page", "nm-a-b-two-in-1", "twice", "twice-1"}


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("[a](ARCHITECTURE.md), [b](#twice-1), [c](docs/rungs.md#sock), [d](https://x.y/z)", None),
        ("[a](docs/absent.md)", "docs/absent.md: no such file"),
        ("[a](#absent)", "#absent: no such heading"),
        ("[a](docs/rungs.md#absent)", "docs/rungs.md#absent: no such heading"),
    ],
)
def test_a_broken_link_is_found(link: str, said: str | None) -> None:
    found = list(broken_links("page.md", f"{PAGE}\n{link}\n"))
    assert found == ([] if said is None else [f"page.md: {said}"])


def test_a_repeated_heading_is_found() -> None:
    assert repeated_headings(PAGE) == ["Twice"]


@pytest.mark.parametrize("start", ["", "- ", "  ", "1. "])
def test_a_wide_line_is_found(start: str) -> None:
    wide, narrow = f"{start}{'ab ' * 33}{'abcd'}", f"{start}ab ab"
    assert [line.split()[0] for line in wide_lines("a.md", f"{narrow}\n{wide}\n")] == ["a.md:2:"]
    for fine in (f"| {wide} |", f"```\n{wide}\n```", f"{start}`{'a' * 100}`", "a" * 101):
        assert list(wide_lines("a.md", f"{fine}\n")) == [], fine


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("`native/program/serve.c`, `native/datapath/*.c`, `native/datapath/NAME.c`", 0),
        ("`docs/`, `specs/quick.toml`, `serve.c`, `src/nearmetal/<name>`", 0),
        ("`native/program/served.c`", 1),
        ("`src/nearmetal/trial/absent.py`", 1),
        ("`native/absent/*.c`", 1),
    ],
)
def test_an_absent_path_is_found(text: str, found: int) -> None:
    assert len(list(absent_paths("a.md", text))) == found


def test_an_absent_function_is_found() -> None:
    fine = "| `serve_until` | `native/program/serve.c` |, (`queue_take`, `native/absent.c`)"
    assert list(absent_functions("a.md", fine.partition(",")[0])) == []
    assert list(absent_functions("a.md", fine)) == [
        "a.md: native/absent.c has no function queue_take"
    ]
    assert len(list(absent_functions("a.md", "`absent`, `native/program/serve.c`"))) == 1
