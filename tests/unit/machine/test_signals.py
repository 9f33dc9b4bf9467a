"""Every signal that ends a command, except SIGKILL: undo, one line, and a shell's exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nearmetal.machine.processes import signals

SAID_S = 120.0
SIGNALS = ["HUP", "INT", "QUIT", "TERM", "XCPU", "ALRM", "VTALRM", "USR1", "USR2", "ABRT"]

# The real main, with a command that makes a thing and waits.
COMMAND = """
import os, signal, sys, time
from pathlib import Path
import typer
from nearmetal import __main__
from nearmetal.commands import cli
from nearmetal.machine.journal import open_journal
from nearmetal.machine.processes.process import Child, Where

folder, at_undo = Path(sys.argv[1]), sys.argv[2:]
cli.app = typer.Typer(pretty_exceptions_enable=False)

@cli.app.command(context_settings={"ignore_unknown_options": True})
def wait(words: list[str]) -> None:
    with open_journal(folder).folder(folder / "thing"):
        with Child(["sh", "-c", "echo '{}'; exec sleep 1000"], Where()) as child:
            child.event(100)
            try:
                print(child.pid, flush=True)
                while True:  # a signal just before a sleep is seen only after it
                    time.sleep(0.1)
            finally:
                for name in at_undo:  # signals that arrive during the undo
                    signal.raise_signal(signal.Signals[name])
                (folder / "way out").write_text("whole")

__main__.main()
"""


@contextmanager
def waiting(folder: Path, *at_undo: str, before: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run a command that has made a thing, and started a child. before: a signal to ignore."""
    argv = [sys.executable, "-c", COMMAND, str(folder), *at_undo]
    if before:
        argv = ["sh", "-c", f'trap "" {before}; exec "$@"', "sh", *argv]
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def child_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate(timeout=SAID_S)[1]
    return int(line)


def ignored(pid: int) -> set[int]:
    """The signals that a process ignores (proc(5), SigIgn)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = int(next(line.split()[1] for line in lines if line.startswith("SigIgn:")), 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


@pytest.mark.parametrize("name", [*SIGNALS, "RTMIN"])
def test_each_undoes_and_says_so(name: str, tmp_path: Path) -> None:
    number = signal.Signals[f"SIG{name}"]
    with waiting(tmp_path) as process:
        child = os.pidfd_open(child_of(process))
        process.send_signal(number)
        said = process.communicate(timeout=SAID_S)[1]
    assert process.returncode == 128 + number, said
    words = "interrupted" if name == "INT" else f"ended by SIG{name}"
    assert said == f"nearmetal: {words}\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["journal", "way out"]
    with pytest.raises(ProcessLookupError):
        signal.pidfd_send_signal(child, 0)
    os.close(child)


def test_further_ones_do_not_break_the_way_out(tmp_path: Path) -> None:
    with waiting(tmp_path, "SIGTERM", "SIGINT", "SIGHUP") as process:
        child_of(process)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=SAID_S)[1]
    assert process.returncode in (128 + signal.SIGHUP, 128 + signal.SIGTERM), said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["journal", "way out"]


@pytest.mark.parametrize("name", ["HUP", "INT", "TERM"])
def test_what_was_ignored_stays_so(name: str, tmp_path: Path) -> None:
    number = signal.Signals[f"SIG{name}"]
    with waiting(tmp_path, before=name) as process:
        child = child_of(process)
        assert ignored(child) == {number}  # without Python's own: SIGPIPE, SIGXFSZ
        process.send_signal(number)
        process.send_signal(signal.SIGUSR1)  # the next signal ends the command
        said = process.communicate(timeout=SAID_S)[1]
    assert process.returncode == 128 + signal.SIGUSR1, said


def test_all_that_end_are_known() -> None:
    """Left out: signals without an end by default, and those that allow no undo."""
    left_out = signal.valid_signals() - set(signals.ENDING)
    assert {signal.Signals(each).name.removeprefix("SIG") for each in left_out} == {
        "KILL", "STOP", "CHLD", "CONT", "URG", "WINCH", "TSTP", "TTIN", "TTOU", "PIPE", "XFSZ",
        "SEGV", "BUS", "FPE", "ILL",
    }  # fmt: skip


def test_what_came_while_held_comes_behind_it() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        with signals.held():
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGUSR1)
            assert not seen
        assert seen == [signal.SIGUSR1]
        signal.raise_signal(signal.SIGUSR1)
        assert len(seen) == 2
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
