"""Every folder has one sentence on its purpose: in its README.md, or its __init__.py."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath

import pytest
import tree

# lwIP includes headers by these folder names; lib/lwip/README.md lists the headers.
GIVEN_NAMES = {"native/uk/lib/lwip/arch", "native/uk/lib/lwip/freestanding"}


def folders(top: str) -> list[str]:
    """Return the folders that contain files of the project."""
    found = {str(PurePosixPath(name).parent) for name in tree.files() if name.startswith(f"{top}/")}
    return sorted(found - GIVEN_NAMES)


def first_paragraph(text: str) -> str:
    """Return the first paragraph as one line, without a title."""
    without_title = re.sub(r"\A#[^\n]*\n+", "", text)
    return " ".join(without_title.split("\n\n")[0].split())


def says_something(words: str) -> bool:
    """Whether this is a sentence, or the head of a list of the folder's content."""
    return len(words.split()) >= 5 and words.endswith((".", ":"))


@pytest.mark.parametrize("folder", folders("native"))
def test_native_folders_have_a_page(folder: str) -> None:
    name = f"{folder}/README.md"
    assert name in tree.files(".md"), f"{name}: describe the folder's purpose in one sentence"
    assert says_something(first_paragraph(tree.read(name))), f"{name}: must begin with a sentence"


@pytest.mark.parametrize("folder", folders("src/nearmetal"))
def test_packages_say_what_they_are(folder: str) -> None:
    name = f"{folder}/__init__.py"
    if name not in tree.files(".py"):  # not a package: run by its path
        assert says_something(first_paragraph(tree.read(f"{folder}/README.md"))), folder
        return
    words = first_paragraph(ast.get_docstring(ast.parse(tree.read(name))) or "")
    assert says_something(words) or words.endswith("?"), f"{name}: must begin with a sentence"


def test_what_a_sentence_is() -> None:
    assert says_something(first_paragraph("# title\n\nOne file for each way\nto receive.\n\nMore."))
    assert not says_something(first_paragraph("# title\n\nA list\n"))
    assert not says_something("")
