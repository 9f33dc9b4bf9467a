"""Documents: links lead somewhere, one title each, and every command they name exists."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
import tree
from typer.testing import CliRunner

from nearmetal.commands.cli import app

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"\./nearmetal[ ]+([a-z]+)((?:[ ]+(?!#)[^\n`|;&)]*)?)")
DOCUMENTS = tree.files(".md")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for target in LINK.findall(without_code(tree.read(name))):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path = tree.ROOT / PurePosixPath(name).parent / target.split("#")[0]
        assert path.exists(), f"{name}: {target} is not there"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_one_title(name: str) -> None:
    titles = re.findall(r"^# .*", without_code(tree.read(name)), re.MULTILINE)
    assert len(titles) == 1, f"{name}: titles {titles}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_exist(name: str) -> None:
    runner = CliRunner()
    for command, rest in COMMAND.findall(tree.read(name)):
        done = runner.invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
        assert done.exit_code == 0, f"{name}: ./nearmetal {command}: no such command"
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", rest):
            assert option in done.output, f"{name}: ./nearmetal {command} has no {option}"
