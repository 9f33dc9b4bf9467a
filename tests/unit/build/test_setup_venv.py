"""The Python environments: complete, or made again; independent of the shell's Python settings."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_launcher import System, make_ready

from nearmetal.build import extras
from nearmetal.paths import source_root
from nearmetal.testbed import enos

# Makes an environment with itself in it; run from there, it marks extras as installed.
PYTHON = """
if [ "$2" = venv ]; then
    echo made >>"$log"
    mkdir -p "$4/bin" && cp "$0" "$4/bin/python"
else
    echo "extras $5" >>"$log"
    folder=$(dirname "$0")/..
    mkdir -p "$folder/ready" && readlink -f "$0" >"$folder/ready/$4"
fi
"""


@pytest.fixture
def system(tmp_path: Path) -> System:
    made = System(tmp_path)
    for tool in ("cp",):
        (made.bin / tool).symlink_to(shutil.which(tool) or "/bin/cp")
    made.add("made-up-python", PYTHON)
    return made


def venv(system: System) -> Path:
    done = system.set_up(
        'make_venv "$cache/venv" base build', python=str(system.bin / "made-up-python")
    )
    assert done.returncode == 0, done.stderr
    return system.cache / "venv"


def test_an_environment_is_made_once(system: System) -> None:
    venv(system)
    venv(system)
    assert system.asked() == ["made", "extras build", "extras build"]


@pytest.mark.parametrize("harm", ["interpreter gone", "no stamp", "torn stamp", "pip was killed"])
def test_one_that_is_not_whole_is_made_anew(harm: str, system: System) -> None:
    folder = venv(system)
    kept = folder / "kept"
    kept.touch()
    match harm:
        case "interpreter gone":
            (folder / "bin/python").rename(folder / "bin/python-old")
            (folder / "bin/python").symlink_to("/nonexistent/python3.10")
        case "no stamp":
            (folder / "ready/base").unlink()
        case "torn stamp":
            (folder / "ready/base").write_text("")
        case "pip was killed":
            (folder / "ready/unfinished").touch()
    venv(system)
    assert not kept.exists()
    assert system.asked().count("made") == 2


def test_without_enoslib_only_testbed_ends(system: System) -> None:
    script = "without_apart; echo went on"
    assert "went on" in system.set_up(script, command="test").stdout
    assert system.set_up(script, command="testbed").returncode == 1


def test_pip_installs_here_with_any_settings_of_the_shell() -> None:
    given = {
        "PYTHONHOME": "/x", "PYTHONPATH": "/x", "PIP_USER": "1", "PIP_TARGET": "/x",
        "PIP_INDEX_URL": "http://mine", "https_proxy": "http://p", "HOME": "/made-up",
    }  # fmt: skip
    assert extras.environment(given) == {
        "PIP_USER": "0", "PIP_INDEX_URL": "http://mine", "https_proxy": "http://p",
        "HOME": "/made-up",
    }  # fmt: skip


@pytest.mark.parametrize("end", ["done", "failed", "killed"])
def test_what_pip_left_is_known(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = {"done": 0, "failed": 1, "killed": -signal.SIGKILL}[end]
    (tmp_path / "ready").mkdir()
    with_pyproject = (
        '[project]\ndependencies = ["x"]\n[project.optional-dependencies]\nbuild = ["y"]\n'
    )
    (tmp_path / "pyproject.toml").write_text(with_pyproject)

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[-2:] == ["x", "y"]
        return subprocess.CompletedProcess(command, status, "", "its words")

    monkeypatch.setattr(extras.subprocess, "run", pip)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert extras.main([str(tmp_path / "pyproject.toml"), "base", "build"]) == int(end != "done")
    found = {path.name for path in (tmp_path / "ready").iterdir()}
    assert found == {"done": {"base", "build"}, "failed": set(), "killed": {"unfinished"}}[end]


def test_the_shells_python_settings_do_not_reach_the_launcher(tmp_path: Path) -> None:
    """Each of these settings alone makes Python fail, or load other modules."""
    (tmp_path / "theirs" / "pydantic").mkdir(parents=True)
    (tmp_path / "theirs" / "pydantic" / "__init__.py").write_text("raise SystemExit('theirs')\n")
    (tmp_path / "theirs" / "typer.py").write_text("raise SystemExit('theirs')\n")
    make_ready(tmp_path / "nearmetal", source_root() / "pyproject.toml")
    theirs = {
        "PYTHONHOME": "/nonexistent", "PYTHONPATH": str(tmp_path / "theirs"), "PYTHONSAFEPATH": "1",
        "PYTHONOPTIMIZE": "2", "PYTHONINSPECT": "1", "PYTHONWARNINGS": "error",
    }  # fmt: skip
    done = subprocess.run(
        ["sh", str(source_root() / "nearmetal"), "list"],
        env={**os.environ, **theirs, "XDG_CACHE_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "host-mmsg" in done.stdout


def test_enoslib_has_modules_of_its_own_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enos, "why_not", lambda: None)
    monkeypatch.setattr(enos, "Child", lambda argv, *_, **__: argv)
    words = [*enos.start_worker()]  # type: ignore[misc]
    own = words[: words.index("PYTHONHOME=") + 1]
    said = subprocess.run(
        [*own, sys.executable, "-c", "import sys; print(sys.path)"],
        env={**os.environ, "PYTHONPATH": "/theirs"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "/theirs" not in said.stdout


def test_ci_uses_the_distributions_tools(tmp_path: Path) -> None:
    """Run .ci/run in a clone whose launcher prints its environment and words."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(source_root() / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "nearmetal").write_text('#!/bin/sh\necho "$PATH $XDG_CACHE_HOME $*"\n')
    (tmp_path / "nearmetal").chmod(0o755)
    done = subprocess.run(
        ["sh", str(tmp_path / ".ci" / "run"), "-k", "x"],
        env={"HOME": "/made-up", "PATH": f"/made-up/bin:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    path, cache, *words = done.stdout.split()
    assert path.split(":")[0] == "/usr/sbin" and "/made-up/bin" not in path
    assert cache == "/made-up/.cache/nearmetal-ci"
    assert words == ["test", "--yes", "-k", "x"]
