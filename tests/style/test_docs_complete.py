"""Each rung, field, option and folder stands in its document, and no other does."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import pytest
import tree
from typer.main import get_command

from nearmetal.commands.cli import app
from nearmetal.report.row import Row
from nearmetal.samples import Resources, Sample
from nearmetal.spec import experiment
from nearmetal.spec.rungs import RUNGS

RUNGS_PAGE = "docs/rungs.md"
ROWS_PAGE = "docs/reading.md"
FILES_PAGE = "docs/formats.md"
COMMANDS_PAGE = "docs/commands.md"
APP: Any = get_command(app)
# Sources whose option tables docs/programs.md writes up.
OPTION_TABLES = [
    name
    for name in tree.files(".c")
    if name.startswith("native/") and '{"' in tree.read(name) and "_argument" in tree.read(name)
] + ["native/program/options.c"]


def column(text: str, title: str) -> list[str]:
    """First cells of the tables whose first title this is."""
    found = []
    for table in re.findall(rf"^\| {title} \|.*\n\|-.*\n((?:\|.*\n)*)", text, re.MULTILINE):
        found += [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()]
    return found


def quoted(cells: Iterable[str]) -> list[str]:
    """The words in backticks, without the text in braces."""
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", _without_braces(cell))]


def _without_braces(cell: str) -> str:
    return re.sub(r"\{[^}]*\}", "", cell)


def fitting(pattern: str, names: Iterable[str]) -> list[str]:
    """Names that a word of the page means; `*` stands for letters and digits."""
    return [name for name in names if re.fullmatch(pattern.replace("*", "[a-z0-9]+"), name)]


def test_a_spec_has_every_rung() -> None:
    spec = experiment.load(tree.ROOT / "specs/full.toml")
    assert [row.rung for row in spec.rungs] == list(RUNGS)


def test_each_rung_is_on_the_page() -> None:
    words = re.findall(r"`([a-z0-9*-]+)`", tree.read(RUNGS_PAGE))
    for rung in RUNGS:
        assert any(fitting(word, [rung.name]) for word in words), rung.name


def rung_cells(text: str) -> list[str]:
    return quoted([*column(text, "rung"), *column(text, "row")])


def test_each_rung_of_the_page_is_one() -> None:
    names = [rung.name for rung in RUNGS]
    words = rung_cells(tree.read(RUNGS_PAGE))
    assert words and [word for word in words if not fitting(word, names)] == []


def test_the_page_says_which_rungs_are_in_quick() -> None:
    spec = tomllib.loads(tree.read("specs/quick.toml"))
    quick = {each if isinstance(each, str) else each["rung"] for each in spec["rungs"]}
    names = [rung.name for rung in RUNGS]
    told = {"yes": set[str](), "no": set[str]()}
    for line in re.findall(r"^\| `.* \| (?:yes|no) \|$", tree.read(RUNGS_PAGE), re.MULTILINE):
        cells = line.strip("| ").split(" | ")
        for word in quoted([cells[0]]):
            told[cells[-1]] |= set(fitting(word, names))
    assert told["yes"] == quick
    assert not told["no"] & quick


def test_each_rung_has_the_file_that_it_receives_in() -> None:
    for line in column(tree.read(RUNGS_PAGE), "rung"):
        for word in quoted([line]):
            for name in fitting(
                word, [rung.name for rung in RUNGS if rung.uses and not rung.absent]
            ):
                assert _row_names_file(name), name


def _row_names_file(name: str) -> bool:
    (rung,) = (each for each in RUNGS if each.name == name)
    rows = re.findall(r"^\| .*$", tree.read(RUNGS_PAGE), re.MULTILINE)
    (row,) = (row for row in rows if fitting_any(quoted([row.split(" | ")[0]]), name))
    uses = rung.uses
    assert uses is not None
    own = "src/nearmetal/kv/server.py" if uses.is_python else f"/{rung.datapath}.c"
    return own in row or "as above" in row


def fitting_any(words: Iterable[str], name: str) -> bool:
    return any(fitting(word, [name]) for word in words)


@pytest.mark.parametrize("field", Row.model_fields)
def test_each_field_of_a_row_is_explained(field: str) -> None:
    assert field in quoted(column(tree.read(ROWS_PAGE), "field"))


def test_each_field_of_the_page_is_one() -> None:
    known = {*Row.model_fields, *Resources.model_fields}
    assert set(quoted(column(tree.read(ROWS_PAGE), "field"))) - known == set()


def test_each_key_of_a_sample_is_listed() -> None:
    keys = set(quoted(column(tree.read(FILES_PAGE), "key")))
    assert set(Sample.model_fields) - keys == set()
    assert keys - set(Sample.model_fields) == set()


def _options(text: str) -> set[str]:
    """The long options of a program's table."""
    found = re.findall(r'\{"([a-z-]+)",\s*(?:\'|\d,|\w+_argument)', text)
    return set(found) - {"help"}


@pytest.mark.parametrize("file", OPTION_TABLES)
def test_each_option_of_a_program_is_explained(file: str) -> None:
    options = _options(tree.read(file))
    assert options, f"{file}: no option is found there any more"
    text = tree.read("docs/programs.md")
    assert {name for name in options if not re.search(rf"--{name}\b(?!-)", text)} == set()


def test_the_tables_of_options_are_found() -> None:
    assert {"native/tg/cli/load_options.c", "native/tools/relay.c"} <= set(OPTION_TABLES)
    assert _options('{"one", no_argument, NULL, 1}, {"two", \'t\', true}, {"help"}') == {
        "one",
        "two",
    }


def test_each_command_and_option_is_explained() -> None:
    text = tree.read(COMMANDS_PAGE)
    known = {option for command in APP.commands.values() for option in visible(command)}
    assert set(quoted(column(text, "command"))) == set(APP.commands)
    assert known - shown_options(text) == set()
    assert shown_options(text) - known == {"--help", "--version"}


def visible(command: Any) -> set[str]:
    """Options of a command, but for hidden ones."""
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    return {name for each in shown for name in each.opts if name.startswith("-")}


def shown_options(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(re.findall(r"`([^`]+)`", text))))


def test_an_option_that_is_missing_or_made_up_is_found() -> None:
    text = "| option | means |\n|---|---|\n| `--one`, `-o` | x |\n| `--two-more N` | `a --b` |\n"
    assert shown_options(text) == {"--one", "-o", "--two-more", "--b"}
    assert quoted(column(text, "option")) == ["--one", "-o", "--two-more N"]
    assert column(text, "command") == []


def folders(names: Iterable[str], top: str) -> set[str]:
    """Folders directly below a folder that hold files."""
    below = (PurePosixPath(name).relative_to(top) for name in names if name.startswith(f"{top}/"))
    return {f"{top}/{path.parts[0]}" for path in below if len(path.parts) > 1}


def unlisted(listed: Iterable[str], there: Iterable[str]) -> set[str]:
    """Folders that no entry of a table is, or is in."""
    entries = {entry.rstrip("/") for entry in listed}
    return {each for each in there if not any(f"{one}/".startswith(f"{each}/") for one in entries)}


@pytest.mark.parametrize("top", ["native", "src/nearmetal"])
def test_each_folder_is_in_the_architecture(top: str) -> None:
    listed = quoted(column(tree.read("ARCHITECTURE.md"), "folder"))
    assert listed, "ARCHITECTURE.md has no table of folders any more"
    assert unlisted(listed, folders(tree.files(), top)) == set()
    assert [each for each in listed if not any(tree.ROOT.glob(each.rstrip("/")))] == []


def test_a_folder_that_is_not_listed_is_found() -> None:
    there = folders(["a/b/c.py", "a/d/e/f.py", "a/g.py", "h/i/j.py"], "a")
    assert there == {"a/b", "a/d"}
    assert unlisted(["a/b/", "a/d/e/"], there) == set()
    assert unlisted(["a/bc/"], there) == {"a/b", "a/d"}


def test_a_rung_that_is_not_one_is_found() -> None:
    text = "| rung | x |\n|---|---|\n| `host-*`, `uk-a` {`b`} | `c` |\n"
    text += "\n| row | y |\n|---|---|\n| `z` | |\n"
    assert rung_cells(text) == ["host-*", "uk-a", "z"]
    assert fitting("host-*", ["host-b", "host-b-c", "uk-b"]) == ["host-b"]


def test_a_get_is_shown_with_two_hops_at_most() -> None:
    """From the loop to the ring. That the functions are there: test_docs.py."""
    rows = {
        name: re.findall(r"^\| `(\w+)` \| `native/", tree.read(name), re.MULTILINE)
        for name in tree.files(".md")
    }
    assert any(len(functions) >= 7 for functions in rows.values()), "no page shows a GET any more"
    for name, functions in rows.items():
        hops = {each for each in functions if each.endswith("_rx_burst")}
        assert len(hops) <= 2, name
