"""The command line as a user meets it: one line and an exit code for every mistake."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nearmetal import __main__ as program
from nearmetal.build import extras
from nearmetal.commands import cli
from nearmetal.commands.cli import app
from nearmetal.commands.load import seconds
from nearmetal.commands.load_words import at, describe, percentile, split
from nearmetal.machine.processes.signals import Ended
from nearmetal.samples import Point
from nearmetal.spec.sweep import points_of


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
        (["bench", "--spec", "rehearsal"], "sweep.generators: one machine has one generator"),
        (["bench", "--against", "nope"], "--against nope: no "),
        (["testbed", "rehearse", "--generators", "1"], "rehearsal: sweep.generators needs 2 gen"),
        (["testbed", "rehearse", "--generators", "9"], "--generators 9: give 1 to 4"),
        (["testbed", "run", "x.toml", "--take", "af_xdp"], "--take af_xdp: only with rehearse"),
        (["serve", "host-mmgs"], "unknown rung 'host-mmgs'; did you mean host-mmsg?"),
        (["serve", "memcached"], "memcached is a reference row; serve cannot run it"),
        (
            ["serve", "host-sock", "--nic", "x"],
            "host-sock uses the kernel's sockets; try host-dpdk",
        ),
        (["serve", "ukp-lwip", "--nic", "x"], "has a tap device of its own; try host-dpdk"),
        (["serve", "host-py", "--allow", "10.0.0.0/99"], "--allow 10.0.0.0/99: "),
        (["serve", "host-py", "--metrics", "9100"], "--metrics 9100: give ADDR:PORT"),
        (["load", "127.0.0.1"], "127.0.0.1: the target is ADDR:PORT"),
        (["load", "127.0.0.1:1", "--for", "soon"], "--for soon: give a time"),
        (["load", "127.0.0.1:1", "--service", "tcp"], "--service tcp: give kv or echo"),
        (["load", "127.0.0.1:1", "--sweep", "keys=1"], "--sweep keys=1: give an axis and"),
        (["load", "127.0.0.1:1", "--sweep", "window=4,4"], "names window 4 twice"),
        (["load", "127.0.0.1:1", "--sweep", "rate=0"], "--sweep rate=0: rate 0: requests per"),
        (["load", "127.0.0.1:1", "--sweep", "rate=9", "--rate", "9"], "--rate: a sweep sets the"),
        (["load", "127.0.0.1:1", "--arrivals", "odd"], "--arrivals odd: give constant or"),
        (["load", "127.0.0.1:1", "--nic", "x"], "--source: missing; with --vhost-user and --nic"),
        (["load", "127.0.0.1:1", "--source", "10.0.0.1"], "--source: only with --vhost-user"),
        (
            ["load", "127.0.0.1:1", "--workload", "w"],
            "--workload w: unknown; give light, standard",
        ),
        (["tune", "tidy"], "tune tidy: unknown; give one of show, apply, restore, boot"),
        (["tune", "restore", "x"], "tune restore: takes no x; only apply does"),
        (["tune", "apply", "trubo=off"], "trubo: unknown key (known: governor, turbo, "),
        (["tune", "apply", "turbo=off", "--boot"], "--boot: not with apply"),
        (
            ["tune", "apply", "--interface", "x"],
            "--interface: only with show; for apply give interface=",
        ),
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
        if not command.hidden
    ]
    known = {"bench", "load", "serve", "build", "list", "doctor", "report", "clean", "test", "tune"}
    assert known <= set(names)
    done = run("--help")
    for name in names:
        assert name in done.stdout


def test_list_and_doctor_need_no_plotting() -> None:
    script = (
        "import sys\n"
        "for name in ('matplotlib', 'scipy', 'jinja2'): sys.modules[name] = None\n"
        "import nearmetal.commands.doctor, nearmetal.commands.serve\n"
        "import nearmetal.commands.load, nearmetal.commands.clean\n"
        "list(nearmetal.commands.doctor.in_words(80))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_command_line_alone_needs_nothing_heavy() -> None:
    """--help and a mistyped option are answered at once."""
    script = (
        "import sys\n"
        "for name in ('pydantic', 'pyroute2', 'numpy', 'rich', 'hdrh'): sys.modules[name] = None\n"
        "import nearmetal.commands.cli"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [["--help"], ["bench", "--help"], ["serve", "--help"]])
def test_help_reads_nothing_but_the_command_line(words: list[str]) -> None:
    """Only few of our modules are imported, as reported by Python."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nearmetal", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    ours = set(re.findall(r"\| +nearmetal\.([a-z_]+)", done.stderr))
    assert "commands" in ours
    assert ours <= {"commands", "errors", "machine"}, "too many imports: move them into the command"
    heavy = re.findall(r"\| +(numpy|scipy|matplotlib|pyroute2|hdrh|psutil)$", done.stderr, re.M)
    assert not heavy


def test_an_error_of_python_s_own_after_a_signal_is_the_signal_s_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal that interrupts a function written in C may become a SystemError."""

    def interrupted(prog_name: str) -> None:
        raise SystemError(prog_name) from Ended(signal.SIGHUP)

    monkeypatch.setattr(cli, "app", interrupted)
    assert program._run() == 128 + signal.SIGHUP
    assert capsys.readouterr().err == "nearmetal: ended by SIGHUP\n"


def test_a_bug_is_no_signal_s_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(prog_name: str) -> None:
        raise SystemError(prog_name)

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemError):
        program._run()


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


RESULT = {
    "event": "result",
    "duration_ns": 2_000_000_000,
    "sent": 990,
    "answered": 980,
    "wrong": 0,
    "lost": 10,
    "intended": 1000,
    "not_sent": 10,
    "latency": [[2000, 980]],
    "cycles": {"receive": 10, "empty": 60, "check": 10, "send": 20},
}


def test_the_generators_cycles_in_percent() -> None:
    assert split(RESULT) == "receive 10% empty poll 60% check 10% send 20%"
    assert split({}) == split({"cycles": {}}) == ""
    assert describe(RESULT | {"event": "second"}).endswith("send 20%")


def test_a_point_in_words() -> None:
    closed, opened = at(Point(window=16), RESULT), at(Point(rate_per_s=500.0), RESULT)
    assert closed.startswith("     window 16         490 replies/s  p50        2.0 us")
    assert "loss 1.0101%" in closed
    assert opened.startswith("         500/s         490 replies/s")
    assert "loss 2.0000%  wrong 0  not sent 10" in opened


def test_points_of_the_command_line() -> None:
    assert points_of("window=1,64") == (Point(window=1), Point(window=64))
    assert points_of("rate=1e5,2e5") == (Point(rate_per_s=1e5), Point(rate_per_s=2e5))


def test_requirements_of_extras() -> None:
    project = {"dependencies": ["a"], "optional-dependencies": {"x": ["b"], "y": ["c"]}}
    assert extras.requirements(project, ["base", "y"]) == ["a", "c"]
