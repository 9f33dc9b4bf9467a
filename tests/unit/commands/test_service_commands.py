"""new-service and check-service, as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nearmetal.commands.cli import app
from nearmetal.errors import BadInputError
from nearmetal.paths import source_root


def said(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_new_service_is_written_and_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = said("new-service", "greeter").splitlines()
    assert lines == [
        "wrote greeter.py; greeter: 39 requests asked, 3 of them tests: all right; the load has 36"
        " requests, 0 bytes of a reply are unchecked",
        "After each change try it again: ./nearmetal check-service greeter.py",
    ]
    assert said("check-service", "greeter.py") == f"{lines[0].partition('; ')[2]}\n"
    with pytest.raises(BadInputError, match=r"greeter.py is there already"):
        said("new-service", "greeter")


def test_arguments_reach_its_init() -> None:
    path = str(source_root() / "examples" / "seen.py")
    assert "seen: 2005 requests" in said("check-service", path, "--service-arg", "most=9")
    with pytest.raises(BadInputError, match=r"cases, request 0: got .*x01', not .*x02'"):
        said("check-service", path, "--service-arg", "most=1")
    with pytest.raises(BadInputError, match=r"unknown --service-arg 'mast'; did you mean most"):
        said("check-service", path, "--service-arg", "mast=1")
    with pytest.raises(BadInputError, match="one name is given twice"):
        said("check-service", path, "--service-arg", "most=8", "--service-arg", "most=9")
