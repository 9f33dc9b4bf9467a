"""The manual page and the completion have every command and every option that --help has."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from nearmetal.commands.cli import app
from nearmetal.commands.manual import completion, page
from nearmetal.spec.rungs import RUNGS

COMMANDS: dict[str, Any] = {
    name: each for name, each in get_command(app).commands.items() if not each.hidden
}


def options(command: Any) -> set[str]:
    shown = (each for each in command.params if not getattr(each, "hidden", False))
    return {word for each in shown for word in each.opts if word.startswith("-")} | {"--help", "-h"}


def section(name: str) -> str:
    text = re.sub(r"\\f[BIR]", "", page(app)).replace(r"\-", "-")
    found = re.search(rf"^\.SS nearmetal {name}\n(.*?)(?=^\.S[SH] )", text, re.M | re.S)
    assert found is not None, f"the page has no {name}"
    return found[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_every_option(name: str) -> None:
    told = section(name)
    for word in options(COMMANDS[name]):
        assert re.search(rf"(?<![\w-]){word}\b", told), f"{name} {word}"
    assert told.strip().splitlines()[0] == ".PP"


def test_hidden_commands_and_options_stay_so() -> None:
    assert "agent" not in COMMANDS
    for text in (page(app), completion(app)):
        assert "agent" not in text and "--long" not in text.replace(r"\-", "-")


def test_no_line_of_the_page_is_taken_for_an_order() -> None:
    """For roff, a line that begins with a dot or a quote is a command."""
    known = {".TH", ".SH", ".SS", ".PP", ".TP", ".nf", ".fi"}
    for line in page(app).splitlines():
        assert not line.startswith("'")
        assert not line.startswith(".") or line.split()[0] in known, line


def test_man_can_read_it(tmp_path: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    (tmp_path / "page").write_text(page(app))
    words = ["groff", "-man", "-ww", "-Tascii", str(tmp_path / "page")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert not done.stderr
    assert "--listen ADDR:PORT" in re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)


def completed(script: str, *words: str) -> set[str]:
    """Return bash's completions of the last word."""
    typed = " ".join(f"'{word}'" for word in words)
    ask = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _nearmetal\n"
    done = subprocess.run(
        ["bash", "--norc", "-c", ask + 'printf "%s\\n" "${COMPREPLY[@]}"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
    return set(done.stdout.split())


def test_bash_completes_every_command_and_option() -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    script = completion(app)
    assert completed(script, "./nearmetal", "") >= set(COMMANDS) | {"--version", "--help"}
    for name, command in COMMANDS.items():
        assert completed(script, "nearmetal", name, "-") == options(command), name
    assert completed(script, "nearmetal", "bench", "--r") == {"--rungs", "--rounds"}
    ours = {rung.name for rung in RUNGS if rung.name.startswith("ukp-")}
    for command in ("serve", "build"):
        assert completed(script, "nearmetal", command, "--json", "ukp-") == ours
