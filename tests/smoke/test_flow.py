"""The whole flow on smoke.toml, as a user starts it; and the state after an interrupted run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

import tool
from nearmetal.machine.processes import signals
from nearmetal.paths import source_root
from nearmetal.spec.experiment import load

LEFT = {"spec.json", "build.json", "topology.json", "machine.json", "run.json", "samples.jsonl"}
LEFT |= {"report.html", "report.csv", "report.json", "ladder.svg"}

pytestmark = pytest.mark.timeout(tool.RUN_S)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run for all tests of this file."""
    folder = tmp_path_factory.mktemp("run") / "out"
    tool.bench("smoke", folder)
    return folder


def test_every_stage_leaves_its_file(run: Path) -> None:
    assert {path.name for path in run.iterdir()} >= LEFT


def test_every_row_is_there_and_nothing_is_wrong(run: Path) -> None:
    report = json.loads((run / "report.json").read_text())
    assert report["partial"] is False
    spec = load(source_root() / "specs" / "smoke.toml")
    wanted = {(row.rung.name, service) for row in spec.rungs for service in row.services}
    rows = tool.rows(run)
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
    tool.succeeds("report", run)
    assert (run / "report.html").is_file()
    assert json.loads((run / "report.json").read_text()) == before


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGINT],
        [signal.SIGHUP, signal.SIGTERM],  # sent when a login session is closed
        [signal.SIGQUIT, signal.SIGQUIT],
        [signal.SIGXCPU],
    ],
    ids=["INT", "HUP TERM", "QUIT QUIT", "XCPU"],
)
def test_an_interrupted_run_says_so_and_leaves_nothing(
    numbers: list[signal.Signals], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    with tool.start(*tool.of_bench("smoke", folder)) as bench:
        assert bench.stderr is not None
        for line in bench.stderr:  # the first finished trial
            tool.skip_where_busy(line)
            if "replies/s" in line:
                for number in numbers:
                    bench.send_signal(number)
                break
        _, rest = bench.communicate(timeout=tool.LONG_S)
    reasons = {128 + each: str(signals.Ended(each)) for each in numbers}  # any one may arrive first
    assert bench.returncode in reasons, rest
    assert "Traceback" not in rest
    report = json.loads((folder / "report.json").read_text())
    assert report["partial"] is True
    assert report["reason"] == reasons[bench.returncode]
    assert not children_of(bench.pid)


def test_a_run_whose_reader_leaves_ends_and_leaves_nothing(tmp_path: Path) -> None:
    """bench 2>&1 | head -1"""
    folder = tmp_path / "out"
    with tool.start(*tool.of_bench("smoke", folder), joined=True) as bench:
        assert bench.stdout is not None
        line = bench.stdout.readline()
        tool.skip_where_busy(line)
        bench.stdout.close()
        bench.wait(timeout=tool.LONG_S)
    assert bench.returncode == 128 + signal.SIGPIPE
    assert not children_of(bench.pid)


def children_of(pid: int) -> list[str]:
    """Return the processes with that owner's marker (machine/processes/owner.py)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # ended, or another user's
            continue
        if any(word.startswith(b"NEARMETAL_OWNER=%d:" % pid) for word in words):
            found.append(path.parent.name)
    return [name for name in found if name != str(os.getpid())]
