"""The text of every file: required headers and forbidden words."""

from __future__ import annotations

import re

import pytest
import tree

SELF = "tests/style/test_text.py"
SPDX = "/* SPDX-License-Identifier: BSD-3-Clause */"

UNFINISHED = re.compile("|".join(["TODO", "FIXME", "XXX", "HACK:"]))
VAGUE_NAMES = re.compile(r"(^|/)(util|utils|helper|helpers|common|misc|manager)\.(py|c|h)$")
# /opt/nearmetal is allowed: a guide installs the project there (packaging/).
MACHINE_PATHS = re.compile(r"(?<![\w./-])/(?:work|root|home/\w+|opt/(?!nearmetal\b)\w+)/")
# `odd ? sum + *data : sum`: GCC 14 compiles it to a product, and then reads *data also if odd is 0.
READS_IN_AN_ARM = re.compile(r"\? (\w+) [-+|^*] [^:;?]*(?:\*\w|\w\[)[^:;?]*: \1\b")
HOSTS = re.compile(
    "|".join([r"pypi\.", "index-url", "artifactory", r"registry\.\w+\.(?:io|com|org)"])
)


def test_c_files_carry_the_licence() -> None:
    for name in tree.files(".c", ".h"):
        assert tree.read(name).startswith(SPDX), f"{name}: first line is not {SPDX}"


def test_python_files_say_what_they_are() -> None:
    for name in tree.files(".py"):
        text = tree.read(name)
        assert not text or text.startswith('"""'), f"{name}: no docstring on top"


@pytest.mark.parametrize(
    "pattern", [UNFINISHED, MACHINE_PATHS, HOSTS], ids=["unfinished", "paths", "hosts"]
)
def test_nothing_forbidden_is_said(pattern: re.Pattern[str]) -> None:
    found = []
    for name in tree.files():
        if name.endswith((".pdf", ".png")) or name in ("LICENSE", SELF):
            continue
        for number, line in enumerate(tree.read(name).splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_no_conditional_adds_what_it_may_not_read() -> None:
    assert READS_IN_AN_ARM.search("return nb & 1 ? sum + *data : sum;")
    assert READS_IN_AN_ARM.search("return (bytes & 1) != 0 ? sum + data[0] : sum;")
    found = [name for name in tree.files(".c", ".h") if READS_IN_AN_ARM.search(tree.read(name))]
    assert not found, f"{found}: write it with an if"


def test_names_say_what_a_file_does() -> None:
    assert not [name for name in tree.files() if VAGUE_NAMES.search(name)]


def test_no_blank_at_the_end_of_a_line() -> None:
    for name in tree.files(".py", ".c", ".h", ".md", ".toml", ".sh", ".build"):
        text = tree.read(name)
        assert not re.search(r"[ \t]$", text, re.MULTILINE), f"{name}: blanks at the end of a line"
        assert not text or text.endswith("\n"), f"{name}: no newline at the end"
