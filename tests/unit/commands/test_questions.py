"""Each question of a new user is answered by --help, list, doctor or report alone: at 80 columns,
at 40, and in a pipe."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearmetal.commands import doctor, last, rows
from nearmetal.dut import available
from nearmetal.machine import journal
from nearmetal.spec.rungs import RUNGS

WIDTHS = ["80", "40", ""]  # "": a pipe has no width
SHOWN = {"80": 80, "40": 40, "": None}


def asked(width: str, *words: str, **environment: str) -> str:
    """Return a command's output into a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "nearmetal", *words],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": width, **environment},
    )
    assert done.returncode == 0, done.stderr
    assert "…" not in done.stdout and "\x1b" not in done.stdout
    return done.stdout


def joined(text: str) -> str:
    """Return the text without line breaks."""
    return " ".join(text.split())


@pytest.fixture
def without_qemu(tmp_path: Path) -> Iterator[str]:
    """A PATH with everything except QEMU."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for each in filter(os.path.isdir, os.environ["PATH"].split(":")):
        for path in Path(each).iterdir():
            if not path.name.startswith("qemu-system") and not (folder / path.name).is_symlink():
                (folder / path.name).symlink_to(path)
    yield str(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("width", WIDTHS)
def test_which_rungs_run_here(width: str) -> None:
    said = asked(width, "list")
    here, _, not_here = said.partition("not here: ")
    wanted = {rung.name: available.why_not(rung) for rung in RUNGS}
    for name, reason in wanted.items():
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", here if reason is None else not_here), name
        assert reason is None or joined(reason) in joined(not_here)
    running = sum(reason is None for reason in wanted.values())
    assert said.startswith(f"runs here: {running} of {len(wanted)} rows")
    if width:  # except lines to paste
        free = ("measure two rows:", "serve one:")
        lines = [line for line in said.splitlines() if not line.startswith(free)]
        assert max(map(len, lines)) <= int(width)


@pytest.mark.parametrize("width", WIDTHS)
def test_what_do_i_install_for_uk_netdev(width: str, without_qemu: str) -> None:
    for command in ("list", "doctor"):
        said = asked(width, command, PATH=without_qemu)
        group = next(part for part in said.split("not here: ")[1:] if "uk-netdev," in part)
        assert "package qemu-system-x86" in joined(group)


@pytest.mark.parametrize("width", WIDTHS)
def test_why_is_limit_veth_skipped(width: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without its wire, the reason is the one from available.why_not."""
    reason = "needs root: network namespaces and a veth pair"
    judge = available.why_not
    monkeypatch.setattr(
        rows, "why_not", lambda rung: reason if rung.name == "limit-veth" else judge(rung)
    )
    said = "\n".join(rows.in_words(SHOWN[width]))
    (group,) = (part for part in said.split("not here: ") if part.startswith("limit-veth"))
    assert joined(group).startswith(f"limit-veth because: {reason}")


@pytest.mark.parametrize("width", WIDTHS)
def test_how_do_i_serve_on_an_address_for_a_network(width: str) -> None:
    said = asked(width, "serve", "--help")
    assert "nearmetal serve host-mmsg --listen 10.0.0.1:11211 --allow 10.0.0.0/24\n" in said


@pytest.mark.parametrize("width", WIDTHS)
def test_how_do_i_stop_it(width: str) -> None:
    assert "Ctrl-C or SIGTERM (kill PID) stops it" in joined(asked(width, "serve", "--help"))


@pytest.mark.parametrize("width", WIDTHS)
def test_where_is_the_last_runs_page(
    width: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last, "cache_dir", lambda: tmp_path)
    assert last.run() is None
    run = tmp_path / "a run"
    run.mkdir()
    last.note(run)
    assert last.run() is None  # the run was killed early, or its folder removed
    (run / "spec.json").write_text("{}")
    assert last.run() == last.folder(None) == run
    said = "\n".join(doctor.in_words(SHOWN[width]))
    assert str(run / "report.html") in joined(said)
    assert joined(asked(width, "report", "--help")).count("the path of the page") == 1


@pytest.mark.parametrize("width", WIDTHS)
def test_how_long_will_bench_take(width: str) -> None:
    minutes = rows.minutes(rows.listed())
    assert minutes > 0
    assert f"*: bench measures these, in about {minutes} min;" in joined(asked(width, "list"))
    assert "The expected time is printed before the start" in joined(
        asked(width, "bench", "--help")
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_how_do_i_measure_only_two_rows(width: str) -> None:
    line = "nearmetal bench --rungs host-sock,host-mmsg:echo\n"
    assert line in asked(width, "list")
    assert line in asked(width, "bench", "--help")


_LEAVES = """
import sys
from pathlib import Path
from nearmetal.machine.journal import open_journal
with open_journal(Path(sys.argv[1])).holds("path", sys.argv[2]):
    print("made", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("width", WIDTHS)
def test_what_did_a_killed_run_leave(
    width: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing = tmp_path / "made"
    with subprocess.Popen(
        [sys.executable, "-c", _LEAVES, str(tmp_path), str(thing)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as maker:
        assert maker.stdout is not None and maker.stdout.readline() == b"made\n"
        assert journal.behind(tmp_path) == []  # its maker runs
        maker.send_signal(signal.SIGKILL)
    (line,) = journal.behind(tmp_path)
    assert str(thing) in line
    monkeypatch.setattr(journal, "behind", lambda: [line])
    said = joined("\n".join(doctor.in_words(SHOWN[width])))
    assert f"left behind {line} nearmetal clean undoes it" in said


@pytest.mark.parametrize("width", WIDTHS)
def test_how_do_i_remove_everything(width: str) -> None:
    said = joined(asked(width, "clean", "--help"))
    assert "--all keeps runs and system packages" in said


def test_programs_get_the_same_as_lines() -> None:
    listed = [json.loads(line) for line in asked("", "list", "--json").splitlines()]
    assert [row["row"] for row in listed] == [rung.name for rung in RUNGS]
    for row in listed:
        assert row["runs_here"] == (row["lacks"] is None)
    found = json.loads(asked("", "doctor", "--json"))
    assert set(found) == {"machine", "missing", "left_behind", "rows"}
    assert len(found["rows"]) == len(RUNGS)


@pytest.mark.parametrize("command", ["list", "doctor", "tune"])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_any_terminal_can_show_it(command: str, encoding: str) -> None:
    assert asked("80", command, PYTHONIOENCODING=encoding, LC_ALL="C")


def test_the_version() -> None:
    assert re.fullmatch(r"nearmetal \d+\.\d+\.\d+\n", asked("80", "--version"))
