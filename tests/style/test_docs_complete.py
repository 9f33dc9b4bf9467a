"""The reference documents are complete: every rung, every field of a row, every option."""

from __future__ import annotations

import re

import pytest
import tree

from nearmetal.report.row import Row
from nearmetal.spec import experiment
from nearmetal.spec.rungs import RUNGS


def test_a_spec_has_every_rung() -> None:
    spec = experiment.load(tree.ROOT / "specs/full.toml")
    assert [row.rung for row in spec.rungs] == list(RUNGS)


def test_each_rung_is_on_the_page() -> None:
    words = re.findall(r"`([a-z0-9*-]+)`", tree.read("docs/rungs.md"))
    patterns = [word.replace("*", "[a-z0-9]+") for word in words]
    for rung in RUNGS:
        if rung.absent is None:
            assert any(re.fullmatch(pattern, rung.name) for pattern in patterns), rung.name


@pytest.mark.parametrize("field", Row.model_fields)
def test_each_field_of_a_row_is_explained(field: str) -> None:
    assert re.search(rf"\b{field}\b", tree.read("docs/measuring.md"))


def _options(file: str) -> set[str]:
    """Return the long options of a program's table."""
    found = re.findall(r'\{"([a-z-]+)",\s*(?:\'|\d,|\w+_argument)', tree.read(file))
    return set(found) - {"help"}


@pytest.mark.parametrize(
    "file",
    [
        "native/program/options.c",
        "native/uk/tender/options.c",
        "native/tg/cli/load_options.c",
        "native/tools/mem_main.c",
        "native/tools/null_vhost.c",
        "native/tools/null_xdp.c",
        "native/tools/relay.c",
    ],
)
def test_each_option_of_a_program_is_explained(file: str) -> None:
    options = _options(file)
    assert options, f"{file}: no option is found in this file"
    text = tree.read("docs/programs.md")
    assert {name for name in options if f"--{name}" not in text} == set()


def test_the_functions_of_a_get_are_there() -> None:
    """Each function in the table of ARCHITECTURE's "One GET" exists in the file named beside it."""
    text = tree.read("ARCHITECTURE.md").partition("## One GET")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    found = [
        pair for row in rows for pair in re.findall(r"`(\w+)`(?: \||,) `(native/[\w/.]+)`", row)
    ]
    assert len(found) >= 7
    for function, file in found:
        assert re.search(rf"^[\w *]*\b{function}\(", tree.read(file), re.MULTILINE), (
            function,
            file,
        )
    hops = [file for function, file in found if function.endswith("_rx_burst")]
    assert len(hops) <= 2  # from the loop to the ring
