"""The command line as a user meets it: one line and an exit code for every mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nearmetal.cli import app
from nearmetal.load import describe, percentile, seconds
from nearmetal.setup import extras


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nearmetal", *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["bench", "--spec", "nope"], "--spec nope: no such spec (known: "),
        (["bench", "--spec", "/none.toml"], "/none.toml: cannot read the spec"),
        (["bench", "--rungs", "host-sokc"], "unknown rung 'host-sokc'; did you mean host-sock?"),
        (["serve", "host-mmgs"], "unknown rung 'host-mmgs'; did you mean host-mmsg?"),
        (["serve", "memcached"], "memcached is a reference row, not ours to serve"),
        (["serve", "host-py", "--allow", "10.0.0.0/99"], "--allow 10.0.0.0/99: "),
        (["serve", "host-py", "--metrics", "9100"], "--metrics 9100: wants ADDR:PORT"),
        (["load", "127.0.0.1"], "127.0.0.1: the target is ADDR:PORT"),
        (["load", "127.0.0.1:1", "--for", "soon"], "--for soon: wants a time"),
        (["load", "127.0.0.1:1", "--service", "tcp"], "--service tcp: kv or echo"),
        (["load", "127.0.0.1:1", "--workload", "w"], "--workload w: unknown (known: standard"),
        (["report", "/none"], "/none is not the folder of a run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_2(words: list[str], says: str) -> None:
    done = run(*words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("nearmetal: ")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_out_must_be_absent_or_empty(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    done = run("bench", "--spec", "smoke", "--out", str(tmp_path), "--yes")
    assert done.returncode == 2
    assert "exists and is not an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_unknown_command_and_option_exit_2() -> None:
    assert run("banch").returncode == 2
    assert run("bench", "--fast").returncode == 2


def test_every_command_has_help() -> None:
    names = [
        command.name or getattr(command.callback, "__name__", "")
        for command in app.registered_commands
    ]
    assert {"bench", "load", "serve", "build", "list", "doctor", "report", "clean", "test"} <= set(
        names
    )
    done = run("--help")
    for name in names:
        assert name in done.stdout


def test_completion_is_offered() -> None:
    assert "--install-completion" in run("--help").stdout


def test_list_and_doctor_need_no_plotting() -> None:
    script = (
        "import sys\n"
        "for name in ('matplotlib', 'scipy', 'jinja2'): sys.modules[name] = None\n"
        "import nearmetal.doctor, nearmetal.serve, nearmetal.load, nearmetal.clean\n"
        "nearmetal.doctor.examine()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_seconds() -> None:
    assert [seconds(text) for text in ("10s", "500ms", "2m", "1h", "3")] == [10, 0.5, 120, 3600, 3]


def test_a_second_in_words() -> None:
    event = {
        "event": "second",
        "duration_ns": 500_000_000,
        "answered": 1000,
        "lost": 1,
        "wrong": 2,
        "latency": [[1000, 990], [50_000, 10]],
    }
    words = describe(event)
    assert "2,000 replies/s" in words
    assert "lost 1  wrong 2" in words
    assert percentile(event["latency"], 50) == 1000  # type: ignore[arg-type]


def test_requirements_of_extras() -> None:
    project = {"dependencies": ["a"], "optional-dependencies": {"x": ["b"], "y": ["c"]}}
    assert extras.requirements(project, ["base", "y"]) == ["a", "c"]
