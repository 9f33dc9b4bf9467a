"""The examples of documents: each block has a known mark, and the program knows each command line.
tests/smoke/test_documents.py runs the blocks."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import tree
from typer.main import get_command

import documents
from documents import Block
from nearmetal import bench
from nearmetal.commands import load, own, rows
from nearmetal.commands.cli import app
from nearmetal.errors import NearmetalError
from nearmetal.machine.tune.wanted import from_words
from nearmetal.spec import experiment, rungs, sweep

PAGES = documents.files()
APP: Any = get_command(app)
# The file with a native program's options, by the program's name; the first match counts.
TABLES = {
    r"nm-load.*|FRAMES:": "native/tg/cli/load_options.c",
    r"nm-relay": "native/tools/relay.c",
    r"nm-null-vhost": "native/tools/null_vhost.c",
    r"nm-null-xdp": "native/tools/null_xdp.c",
    r"nm-mem-\w+": "native/tools/mem_main.c",
    r"nm-tender": "native/uk/tender/options.c",
    r"nm-\w+-\w+": "native/program/options.c",
}


def test_every_page_is_looked_at() -> None:
    ours = [name for name in tree.files(".md") if not name.startswith("tests/")]
    assert ours == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_each_block_says_what_becomes_of_it(page: str) -> None:
    for block in documents.blocks(page):
        assert block.language in documents.MARKS.get(block.mark, ()), (
            f"{block}: {block.language or 'no language'} with <!-- {block.mark} -->: no such mark,"
            " or not of this language; see tests/documents.py"
        )
        for need in block.needs:
            known = need in documents.NEEDS or need.startswith("row ")
            assert known and need != "row", f"{block}: {need}: no such need"
            if need.startswith("row "):
                rungs.find(need.removeprefix("row "))
        if block.mark in ("not run", "tested by"):
            assert block.words, f"{block}: {block.mark}, and why or where?"
        for file in re.findall(r"tests/[\w/.]+", block.words):
            assert (tree.ROOT / file).exists(), f"{block}: {file} does not exist"


@pytest.mark.parametrize("page", PAGES)
def test_what_is_printed_stands_below_what_prints_it(page: str) -> None:
    own = documents.blocks(page)
    for number, block in enumerate(own):
        if block.mark == "prints":
            assert number and own[number - 1].language == "sh" and own[number - 1].is_run, block


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_without_a_fence(page: str) -> None:
    """Indented lines are also a block in Markdown, but cannot have a mark."""
    text = documents.prose(page)
    assert "```" not in text, f"{page}: a fence that is opened or closed only"
    assert "<!--" not in text, f"{page}: a mark without a block below it"
    found = re.search(r"\n[ ]*\n((?:    |\t).*)", text)
    assert found is None, f"{page}: fence it: {found and found[1]}"


@pytest.mark.parametrize("page", PAGES)
def test_each_command_line_is_known(page: str) -> None:
    shown = [block.text for block in documents.blocks(page) if block.language == "sh"]
    for text in (*shown, *documents.inline(page)):
        for words in documents.command_lines(text):
            if words:
                parsed(page, words)
        words = text.split()
        if words[0] in APP.commands:  # as in `load --rate`
            known = options(words[0])
            assert set(long_options(text)) <= known, f"{page}: {text}"


def parsed(page: str, words: list[str]) -> None:
    """Parse the words as the program does, and check that the values exist."""
    name, *rest = words
    if name.startswith("-"):
        APP.make_context("nearmetal", words)
        return
    assert name in APP.commands, f"{page}: {name}: no such command"
    given = APP.commands[name].make_context(name, rest).params
    try:
        if given.get("rung"):
            rungs.find(given["rung"])
        files = [tree.ROOT / each for each in services(given) if (tree.ROOT / each).exists()]
        made = own.rows(files, given.get("service_arg") if files else None)
        spec = given.get("spec") or (rows.usual(made) if name == "bench" else None)
        if spec and not spec.endswith(".toml"):
            experiment.load(bench.spec_path(spec), given["rungs"], made)
        if given.get("sweep"):
            sweep.points_of(given["sweep"])
        if given.get("duration"):
            load.seconds(given["duration"])
        if name == "tune" and given["action"] == "apply":
            from_words(given["words"] or ())
    except NearmetalError as error:
        pytest.fail(f"{page}: ./nearmetal {shlex.join(words)}: {error}")


def services(given: dict[str, Any]) -> list[str]:
    """Return the values of --service that are files: of one service, or of several."""
    found = given.get("service") or ()
    found = found if isinstance(found, list | tuple) else [found]
    return [str(each) for each in found if own.is_file(str(each))]


def options(command: str) -> set[str]:
    """Return the long options of one of our commands."""
    return {each for param in APP.commands[command].params for each in param.opts}


def long_options(text: str) -> list[str]:
    return re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)


def usage_lines(block: Block) -> list[str]:
    """Return one line per program: an indented line continues the previous one."""
    return re.sub(r"\n +", " ", block.text).splitlines()


@pytest.mark.parametrize("page", PAGES)
def test_each_option_of_a_usage_is_one(page: str) -> None:
    for block in documents.blocks(page):
        for line in usage_lines(block) if block.mark == "usage" else ():
            asked_of(page, line)
    for span in documents.inline(page):
        if re.match(r"nm-[\w-]+ ", span):
            asked_of(page, span.partition(" -- ")[0])


def asked_of(page: str, line: str) -> None:
    program = line.split()[0]
    table = next((file for name, file in TABLES.items() if re.fullmatch(name, program)), None)
    assert table is not None, f"{page}: {program}: no such program"
    known = set(re.findall(r'\{"([a-z-]+)",', tree.read(table))) | {""}
    asked = {option.removeprefix("--") for option in long_options(line)}
    assert asked <= known, f"{page}: {program} has no {', '.join(sorted(asked - known))}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("./nearmetal bench --spec nowhere", "no such spec"),
        ("./nearmetal serve host-nothing", "unknown rung"),
        ("./nearmetal bench --rungs host-nothing", "unknown rung"),
        ("./nearmetal load 127.0.0.1:1 --for soon", "give a time"),
        ("./nearmetal tune apply colour=red", "colour"),
    ],
)
def test_what_names_nothing_fails(text: str, said: str) -> None:
    ((words),) = documents.command_lines(text)
    with pytest.raises(pytest.fail.Exception, match=said):
        parsed("a page", words)
