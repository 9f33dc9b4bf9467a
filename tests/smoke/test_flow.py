"""The whole flow on smoke.toml, as a user starts it; and what is left when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nearmetal.paths import source_root
from nearmetal.spec import load

BENCH = [sys.executable, "-m", "nearmetal", "bench", "--spec", "smoke", "--yes"]
LEFT = {"spec.json", "build.json", "topology.json", "machine.json", "run.json", "samples.jsonl"}
LEFT |= {"report.html", "report.csv", "report.json"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run for all tests of this file."""
    folder = tmp_path_factory.mktemp("run") / "out"
    done = subprocess.run(
        [*BENCH, "--out", str(folder)], capture_output=True, text=True, check=False, timeout=300
    )
    if "another run has this machine" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_stage_leaves_its_file(run: Path) -> None:
    assert {path.name for path in run.iterdir()} >= LEFT


def test_every_row_is_there_and_nothing_is_wrong(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    assert report["partial"] is False
    spec = load(source_root() / "specs" / "smoke.toml")
    wanted = {(row.rung.name, service) for row in spec.rungs for service in row.services}
    rows = {(row["rung"], row["service"]): row for row in report["rows"]}
    assert set(rows) == wanted
    for name, row in rows.items():
        if row["status"] == "skipped":
            assert row["reason"], f"{name}: skipped without a reason"
            continue
        assert row["status"] == "ok", f"{name}: {row['reason']}"
        assert row["wrong"] == 0
        assert row["answered"] > 0
        assert row["sent"] == row["answered"] + row["wrong"] + row["lost"]


def test_the_report_can_be_made_again(run: Path) -> None:
    (run / "report.html").unlink()
    before = json.loads((run / "report.json").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "nearmetal", "report", str(run)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (run / "report.html").is_file()
    assert json.loads((run / "report.json").read_text()) == before


def test_an_interrupted_run_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with subprocess.Popen(
        [*BENCH, "--out", str(folder)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as bench:
        assert bench.stderr is not None
        for line in bench.stderr:  # the first finished trial
            if "another run has this machine" in line:
                pytest.skip(line.strip())
            if "replies/s" in line:
                bench.send_signal(signal.SIGINT)
                break
        rest = bench.stderr.read()
        code = bench.wait(timeout=60)
    assert code == 130, rest
    assert "Traceback" not in rest
    report = json.loads((folder / "report.json").read_text())
    assert report["partial"] is True
    assert report["reason"]
    assert not children_of(bench.pid)


def children_of(pid: int) -> list[str]:
    """Processes that carry the marker of that owner (lab/owner.py)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # gone, or not ours
            continue
        if any(word.startswith(b"NEARMETAL_OWNER=%d:" % pid) for word in words):
            found.append(path.parent.name)
    return [name for name in found if name != str(os.getpid())]
