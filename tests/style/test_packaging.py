"""packaging/, checked without an installation: systemd accepts the unit without a warning, the
Containerfile has only known instructions, and the rows and options that both name exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tree
from typer.testing import CliRunner

import recipe
from nearmetal.commands.cli import app
from nearmetal.spec.rungs import RUNGS

UNIT = "packaging/nearmetal@.service"
RECIPE = "packaging/Containerfile"
PAGE = "docs/packaging.md"


@pytest.mark.parametrize("instance", ["", "host-mmsg", "uk-netdev-q35"])
def test_systemd_reads_the_unit_without_a_word(instance: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here (package systemd)")
    unit = tmp_path / f"nearmetal@{instance}.service"
    unit.write_text(tree.read(UNIT), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_mistake_in_the_unit_would_be_seen(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here (package systemd)")
    unit = tmp_path / "nearmetal@.service"
    unit.write_text(tree.read(UNIT).replace("Restart=", "Restrat="), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert "Restrat" in done.stderr


def test_a_service_is_not_started_again_for_bad_input() -> None:
    """The unit's exit code is the command line's code for bad input: 2."""
    prevented = re.search(r"^RestartPreventExitStatus=(.*)$", tree.read(UNIT), re.MULTILINE)
    assert prevented is not None
    done = CliRunner().invoke(app, ["serve", "host-mmsg", "--no-such-option"])
    assert str(done.exit_code) in prevented[1].split()


def test_the_recipe_names_rows_and_options_that_are_there() -> None:
    text = tree.read(RECIPE)
    made = recipe.parse(text)
    assert made.entrypoint == [f"{made.folder}/nearmetal", "serve"]
    rows = re.search(r'^ARG ROWS="(.*)"$', text, re.MULTILINE)
    assert rows is not None
    assert set(rows[1].split()) <= {rung.name for rung in RUNGS if rung.absent is None}
    row, *words = made.command
    assert row in rows[1].split()
    known = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "200"}).output
    assert all(word in known for word in words if word.startswith("--"))
    listen = words[words.index("--listen") + 1]
    assert f"EXPOSE {listen.rpartition(':')[2]}/udp" in text


def test_the_unit_keeps_the_rights_that_the_page_names() -> None:
    kept = re.findall(r"^CapabilityBoundingSet=(.*)$", tree.read(UNIT), re.MULTILINE)
    told = tree.read(PAGE).partition("The unit keeps root")[2].partition("A PCI device")[0]
    assert set(re.findall(r"\bCAP_[A-Z_]+\b", told)) == set(" ".join(kept).split())


@pytest.mark.parametrize("line", ["ADD x /y", "COPY a b", "ENV a b", "USER daemon"])
def test_an_instruction_that_is_not_known_is_not_passed_over(line: str) -> None:
    with pytest.raises(recipe.RecipeError):
        recipe.parse(f"FROM x\n{line}\n")


def test_a_recipe_is_followed_in_order(tmp_path: Path) -> None:
    """The script is the same as on a bare machine."""
    context, root = tmp_path / "context", tmp_path / "root"
    (context / "build").mkdir(parents=True)
    (context / "there").write_text("x")
    made = recipe.parse(
        f'# words\nFROM x\nARG ROWS="a b"\nENV LIKE=this\nWORKDIR {root}\nCOPY . .\n'
        "RUN echo $ROWS $LIKE \\\n    && ls\n"
        'ENTRYPOINT ["sh", "-c"]\nCMD ["echo $LIKE $ROWS; pwd"]\n'
    )
    built = subprocess.check_output(["sh", "-c", made.builds(str(context), ["build"])], text=True)
    assert built.split() == ["a", "b", "this", "there"]
    assert subprocess.check_output(["sh", "-c", made.runs()], text=True).split() == [
        "this",
        str(root),
    ]
