"""`report` without a run: the last run's table, and its page's path; or JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import made
import pytest

from nearmetal.commands import last


def asked(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nearmetal", "report", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "COLUMNS": "80"},
    )


def test_where_the_page_of_the_last_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = asked(tmp_path)
    assert none.returncode == 2
    assert none.stderr.startswith("nearmetal: report: there is no last run")
    assert len(none.stderr.splitlines()) == 1

    trials = made.rounds("host-sock", "kv", [300_000] * 3)
    folder = made.folder(tmp_path / "a run", made.spec("host-sock"), trials, made.DONE)
    (tmp_path / "nearmetal").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    last.note(folder)
    shown = asked(tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.splitlines()[-1] == str(folder / "report.html")
    assert (folder / "report.html").exists()
    assert "\x1b" not in shown.stdout and "…" not in shown.stdout

    told = json.loads(asked(tmp_path, str(folder), "--json").stdout)
    assert told["run"] == "a run"
    assert told["rows"] == json.loads((folder / "report.json").read_text())["rows"]
