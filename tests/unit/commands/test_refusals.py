"""An error of the system is one line: what, where, what to do. A closed pipe ends the command."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from pyroute2.netlink.exceptions import NetlinkError

import tool
from nearmetal.errors import NearmetalError, chain, in_words
from nearmetal.machine.processes.signals import Ended
from nearmetal.trial import progress
from nearmetal.trial.progress import Shown

LIMIT_S = 120.0
BROKEN_PIPE = 128 + signal.SIGPIPE


def into_a_closed_pipe(*words: str) -> tuple[int, str]:
    """Run a command whose stdout is closed by its reader; return exit code and stderr."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run(
            [*tool.NEARMETAL, *words],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
    finally:
        os.close(theirs)
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", [["list"], ["doctor"], ["--help"], ["tune", "show"]], ids=str)
def test_a_reader_who_leaves_ends_it_silently(words: Sequence[str]) -> None:
    assert into_a_closed_pipe(*words) == (BROKEN_PIPE, "")


def test_a_full_disk_behind_stdout_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*tool.NEARMETAL, "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [["list"], ["doctor"], ["tune", "show"]], ids=str)
def test_without_a_stdout_it_still_ends_well(words: Sequence[str]) -> None:
    argv = ["sh", "-c", '"$@" <&- >&-', "sh", *tool.NEARMETAL, *words]
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        argv, env=env, stderr=subprocess.PIPE, text=True, check=False, timeout=LIMIT_S
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["bench", "--yes", "--spec", "./folder.toml"], 2),
        (["bench", "--yes", "--spec", "./latin.toml"], 2),
        (["bench", "--yes", "--spec", "./nowhere.toml"], 2),
        (["load", "127.0.0.1:1", "--workload", "./folder.toml"], 2),
        (["testbed", "run", "./folder.toml"], 2),
        (["testbed", "run", "./latin.toml"], 2),
        (["testbed", "run", "./nowhere.toml"], 2),
        (["report", "./latin.toml"], 2),
        (["report", "./run"], 2),
        (["report", "./nowhere"], 2),
    ],
    ids=str,
)
def test_a_file_that_is_none_is_named(words: Sequence[str], code: int, tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"\n')
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.json").write_bytes(b"\xff{}")
    done = tool.run(*(word.replace("./", f"{tmp_path}/") for word in words))
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("nearmetal: ") and done.stderr.count("\n") == 1, done.stderr
    assert Path(words[-1]).name in done.stderr


# A /run that cannot be used, and a command that needs it, run by main.
RUN = {
    "read-only": "mount -t tmpfs -o ro tmpfs /run",
    "full": "mount -t tmpfs -o nr_inodes=2 tmpfs /run && touch /run/x",
    "a file": "mount -t tmpfs tmpfs /run && touch /run/nearmetal",
}


_HOLDS = """
from pathlib import Path
import typer
from nearmetal import __main__
from nearmetal.commands import cli
from nearmetal.machine.journal import open_journal

cli.app = typer.Typer()

@cli.app.command()
def hold() -> None:
    with open_journal().folder(Path("/run/nearmetal/thing")):
        pass

__main__.main()
"""


@pytest.mark.parametrize("how", RUN)
def test_a_state_folder_that_cannot_be_had_is_one_line(how: str) -> None:
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", RUN[how] + ' && "$@"']
    if subprocess.run([*apart, "sh", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    done = subprocess.run(
        [*apart, "sh", sys.executable, "-c", _HOLDS],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode != 0
    assert done.stderr.startswith("nearmetal: /run/nearmetal") and done.stderr.count("\n") == 1


def test_commands_that_need_no_state_folder_go_on() -> None:
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    script = RUN["a file"] + ' && "$@" list >/dev/null && "$@" clean'
    if subprocess.run([*apart, RUN["a file"]], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    argv = [*apart, script, "sh", *tool.NEARMETAL]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            PermissionError(errno.EACCES, "?", "/a"),
            "/a: Permission denied; start it as a user who may",
        ),
        (OSError(errno.ENOSPC, "?", "/a"), "/a: No space left on device; free some"),
        (OSError(errno.EDQUOT, "?", "/a"), "/a: Disk quota exceeded; your share"),
        (OSError(errno.EROFS, "?", "/a"), "/a: Read-only file system; it can only be read"),
        (IsADirectoryError(errno.EISDIR, "?", "/a"), "/a: Is a directory; it is a folder"),
        (FileNotFoundError(errno.ENOENT, "?", b"/a\xff"), "/a\udcff: No such file"),
        (OSError("no number"), "here: no number"),
        (NetlinkError(errno.EPERM, "?"), "here: Operation not permitted; start as root"),
        (UnicodeEncodeError("ascii", "\u00e9", 0, 1, "?"), r"'\xe9' cannot be written as ascii"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?"), "here: a text that is not UTF-8"),
        (MemoryError(), "no memory is left"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_is_refused_is_said_in_words(error: Exception, words: str) -> None:
    said = in_words(error)
    assert said is not None and said.startswith(words) and "\n" not in said


@pytest.mark.parametrize("error", [ValueError("x"), AssertionError(), KeyError("x")], ids=repr)
def test_a_fault_of_ours_is_no_refusal(error: Exception) -> None:
    assert in_words(error) is None


@pytest.mark.parametrize("name", ["XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "TMPDIR"])
def test_who_named_the_place_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `su` the variable still has the other user's folder."""
    monkeypatch.setenv(name, "/run/user/1234")
    said = in_words(PermissionError(errno.EACCES, "?", "/run/user/1234/nearmetal"))
    assert said is not None
    assert said.startswith("/run/user/1234/nearmetal: Permission denied; ") and name in said


def test_where_it_was_is_told_where_no_file_is() -> None:
    try:
        raise OSError(errno.EIO, "?")
    except OSError as error:
        said = in_words(error)
    assert said is not None and said.startswith("test_refusals.py:")


def test_a_chain_of_errors() -> None:
    try:
        try:
            raise Ended(signal.SIGHUP)
        except KeyboardInterrupt as end:
            raise NearmetalError("cannot undo") from end
    except NearmetalError as error:
        assert [type(each) for each in chain(error)] == [NearmetalError, Ended]


class Gone(io.StringIO):
    """A terminal or pipe that was closed."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, _: str) -> int:
        raise self.error


def test_a_reader_of_progress_who_leaves_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress._Console, "file", Gone(BrokenPipeError(errno.EPIPE, "?")))
    shown = Shown()
    with pytest.raises(Ended) as told:
        shown.say("a line")
    assert told.value.exit_code == BROKEN_PIPE
    shown.say("on the way out nothing is said any more")


_SPEAKS = """
import signal
import sys
import typer
from nearmetal import __main__
from nearmetal.commands import cli
from nearmetal.machine.processes import signals

cli.app = typer.Typer()

@cli.app.command()
def speak(stream: str) -> None:
    sys.stdin.readline()  # by now the pipe's reader has closed it
    print("no end of line", end="", file=getattr(sys, stream))
    raise signals.Ended(signal.SIGPIPE)

__main__.main()
"""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_a_stream_still_holds_changes_no_exit_code(stream: str) -> None:
    """Without this, Python itself would exit with 120."""
    argv = [sys.executable, "-c", _SPEAKS, stream]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as child:
        assert child.stdin is not None and child.stdout is not None
        child.stdout.close()
        child.stdin.close()
        assert child.wait(LIMIT_S) == BROKEN_PIPE


def test_a_terminal_that_hung_up_ends_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress._Console, "file", Gone(OSError(errno.EIO, "?")))
    with Shown() as shown:
        shown.say("a line")
        shown.stage("a stage")
