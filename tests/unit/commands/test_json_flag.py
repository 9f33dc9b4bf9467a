"""--json: every command that prints facts has it, and then prints one JSON object per line."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from nearmetal.commands import clean as command
from nearmetal.commands import tune
from nearmetal.commands.cli import app
from nearmetal.errors import NearmetalError
from nearmetal.machine.journal import Swept
from nearmetal.machine.tune import apply
from nearmetal.machine.tune.apply import Applied

# No facts; agent always speaks JSON.
NO_FACTS = {"man", "completion", "test", "agent", "new-service"}


def names() -> list[str]:
    whole = get_command(app)
    assert isinstance(whole, TyperGroup)
    return sorted(set(whole.commands) - NO_FACTS)


@pytest.mark.parametrize("name", names())
def test_every_command_that_prints_facts_has_the_one_flag(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert "--json" in done.output
    assert "Print JSON, one object per line." in done.output


def lines(*words: str, code: int = 0) -> list[dict[str, object]]:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Swept:
    """The result of a made-up clean; cache and state are in a folder of the test."""
    done = Swept(undone=["link nm-1-sut"], left=["1 record: of pid 1"])
    monkeypatch.setattr(command, "swept", lambda: done)
    monkeypatch.setattr(command, "state_directory", lambda: tmp_path)
    monkeypatch.setattr(command, "cache_dir", lambda: tmp_path / "cache")
    return done


def test_clean(swept: Swept, tmp_path: Path) -> None:
    nothing = {"failed": [], "tuned": False, "system_packages": [], "removed": None}
    assert lines("clean", "--json") == [
        {"undone": swept.undone, "left_alone": swept.left, **nothing}
    ]


def test_clean_all(swept: Swept, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "packages").write_text("gcc\nbash\ngcc\n")
    (found,) = lines("clean", "--all", "--json")
    assert (found["system_packages"], found["removed"]) == (["bash", "gcc"], str(cache))
    assert not cache.exists()


def test_clean_in_words(swept: Swept) -> None:
    done = CliRunner().invoke(app, ["clean"])
    assert done.stdout.splitlines() == ["link nm-1-sut", "left alone: 1 record: of pid 1"]


def test_tune_show_and_boot() -> None:
    *settings, last = lines("tune", "show", "--json")
    assert {"governor", "turbo"} <= {setting["setting"] for setting in settings}
    assert set(last) == {"placement", "isolated", "kept"}
    assert all(set(each) == {"words", "why"} for each in lines("tune", "--boot", "--json"))


def test_tune_restore_and_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "machine_lock", nullcontext)
    monkeypatch.setattr(tune, "clean", lambda: ["link x"])
    monkeypatch.setattr(apply, "put_back", lambda: iter(["value a", NearmetalError("not b")]))
    assert lines("tune", "restore", "--json", code=1) == [
        {"put_back": "value a"},
        {"failed": "not b"},
    ]
    set_to = Applied(name="turbo", asked="off", before="on", after="off")
    monkeypatch.setattr(apply, "keep", lambda wanted: iter([set_to]))
    monkeypatch.setattr(tune.journal, "kept", lambda folder: {"1": 1})
    assert lines("tune", "apply", "--json") == [
        {"undone": "link x"},
        {"name": "turbo", "asked": "off", "before": "on", "after": "off", "reason": ""},
        {"kept": 1},
    ]
