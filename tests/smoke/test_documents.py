"""The examples of the documents, run unchanged: in a folder of links to the clone, so that files
that a command leaves are the test's. The marks beside the blocks name a block's needs, and blocks
that are not run (tests/documents.py). The closing line of `documents` counts both."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import documents
import tool
from documents import Block
from nearmetal.build import programs
from nearmetal.dut import available
from nearmetal.paths import source_root
from nearmetal.spec import experiment
from nearmetal.spec.rungs import find
from nearmetal.testbed import spec as bed

PORT = 11211
READY = ("Ctrl-C", '"event":"ready"')  # marks of a command that is ready: as text, as JSON
OURS = ("PYTHON", "PYTEST", "NEARMETAL_TEST_LONG", "COLUMNS")  # set by this run, not by a reader
LOOK = ("completion", "doctor", "list", "man")  # commands that change nothing
LOOK_AS = ("tune show", "tune --boot")
EVERY = [block for block in documents.every() if block.mark not in ("prints", "usage", "drawing")]

pytestmark = [pytest.mark.rung("documents"), pytest.mark.timeout(tool.RUN_S)]


def those(belongs: Callable[[Block], bool]) -> list[object]:
    return [pytest.param(each, id=named(each)) for each in EVERY if belongs(each)]


def named(block: Block) -> str:
    """Name a block by its page and its first words."""
    return f"{block.file} {' '.join(block.text.split('#')[0].split())[:48]}"


def looking() -> list[str]:
    """Return the complete command lines in prose that change nothing."""
    lines = {
        shlex.join(words)
        for page in documents.files()
        for span in documents.inline(page)
        for words in documents.command_lines(span)
        if words and (words[0] in LOOK or shlex.join(words).startswith(LOOK_AS))
    }
    return sorted(line for line in lines if line.islower())  # DIR is a placeholder


def is_command(block: Block) -> bool:
    return block.mark in ("", "needs") and block.language != "toml"


def is_spec(block: Block) -> bool:
    return block.mark in ("", "needs") and block.language == "toml"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return linked(tmp_path)


def linked(folder: Path) -> Path:
    """Make links to all of the clone in a folder."""
    for path in source_root().iterdir():
        if path.name not in (".git", "runs"):
            (folder / path.name).symlink_to(path)
    return folder


def prints_as_shown(block: Block, said: str) -> None:
    """Compare an output with the one that the page shows, if it shows one."""
    if (output := documents.printed(block)) is not None:
        assert documents.shape(output).search(said), f"{block} shows\n{output}\nit prints\n{said}"


@pytest.mark.parametrize("block", those(is_command))
def test_a_block_runs_as_it_stands(block: Block, clone: Path, is_long: bool) -> None:
    skip_where_missing(block, is_long)
    with ExitStack() as stack:
        if "programs" in block.needs:
            link_programs(clone)
        if "a run" in block.needs:
            measured(clone)
        if "a server on port 11211" in block.needs:
            stack.enter_context(tool.serving("host-mmsg", "--listen", f"127.0.0.1:{PORT}"))
        running = stack.enter_context(started(block, clone))
        said = ended(running, block.needs)
    assert running.returncode == 0, said
    prints_as_shown(block, said)


@pytest.mark.parametrize("line", looking())
def test_a_command_in_prose_that_only_looks(line: str, clone: Path) -> None:
    done = launched(clone, line)
    assert done.returncode == 0 and done.stdout, done.stdout


def skip_where_missing(block: Block, is_long: bool) -> None:
    """Skip if the machine or the edition misses a need; the first one is the reason."""
    for need in block.needs:
        if need == "--full" and not is_long:
            pytest.skip("only with --full: it takes long")
        if need.startswith("row ") and (reason := available.why_not(find(need[4:]))) is not None:
            pytest.skip(f"{need[4:]}: {reason}")
        if need.endswith("port 11211"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind(("127.0.0.1", PORT))
                except OSError:
                    pytest.skip(f"port {PORT}, which the documents use, is not free")


def link_programs(folder: Path) -> None:
    with tool.untimed():
        built = programs.build()
    for name, program in built.programs.items():
        (folder / name).symlink_to(program.path)


def measured(clone: Path) -> None:
    """Make a run of some seconds in the folder."""
    done = launched(clone, "bench --spec smoke --rungs host-sock:kv --yes")
    tool.skip_where_busy(done.stdout)
    assert done.returncode == 0, done.stdout


def launched(clone: Path, line: str) -> tool.Finished:
    """Run `./nearmetal` in the folder to its end; stdout and stderr are joined."""
    return subprocess.run(
        ["./nearmetal", *shlex.split(line)],
        cwd=clone,
        env=environment(clone),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def environment(clone: Path) -> dict[str, str]:
    """Return a reader's environment, with this Python's meson and ninja, and the programs."""
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    own = f"{clone}:{Path(sys.executable).parent}"
    return {**theirs, "PATH": f"{own}:{os.environ['PATH']}"}


@contextmanager
def started(block: Block, clone: Path) -> Iterator[tool.Started]:
    """Start the block in its own session; at the end all its processes are killed."""
    words, more = ["bash", "-e", "-c", block.text], {}
    if block.language == "python":
        words, more = [sys.executable, "-c", block.text], {"PYTHONPATH": "src"}
    with subprocess.Popen(
        words,
        cwd=clone,
        env=environment(clone) | more,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)


def ended(running: tool.Started, needs: list[str]) -> str:
    """Return the whole output when the command has ended: by itself, or as its needs say."""
    assert running.stdout is not None
    said = ""
    if "Ctrl-C" in needs:
        said += until(running, READY)
        if "SIGUSR1" in needs:
            os.killpg(running.pid, signal.SIGUSR1)
            said += until(running, ('"event":"counters"',))
        os.killpg(running.pid, signal.SIGINT)
    return said + running.communicate()[0]


def until(running: tool.Started, words: tuple[str, ...]) -> str:
    """Return the output up to a line with one of these words."""
    assert running.stdout is not None
    said = ""
    for line in running.stdout:
        said += line
        if any(each in line for each in words):
            return said
    pytest.fail(f"the command ended without printing {' or '.join(words)}: {said}")


@pytest.mark.parametrize("block", those(is_spec))
def test_a_file_is_read(block: Block, tmp_path: Path) -> None:
    """A spec, or a table of one."""
    given = tomllib.loads(block.text)
    rows = "" if "rungs" in given else 'rungs = ["host-mmsg"]\n'
    (tmp_path / "specs").mkdir()
    (tmp_path / "examples").symlink_to(source_root() / "examples")
    file = tmp_path / "specs" / "spec.toml"
    file.write_text(rows + block.text, encoding="utf-8")
    if "the files it names" in block.needs:
        for image in given["image"]:
            (file.parent / image["kernel"]).parent.mkdir()
            (file.parent / image["kernel"]).write_bytes(b"\0")
    assert experiment.load(file).rungs


@pytest.mark.parametrize("block", those(lambda block: block.mark == "tested by"))
def test_another_test_reads_it(block: Block) -> None:
    """The named test exists and names the page."""
    text = (source_root() / block.words).read_text(encoding="utf-8")
    assert Path(block.file).name in text, f"{block.words} does not read {block}"
    if block.language == "toml":
        bed.parse(block.text, block.file)


@pytest.mark.parametrize("block", those(lambda block: block.mark == "not run"))
def test_is_not_run(block: Block) -> None:
    """Skip the block, so that the closing lines list it with its reason."""
    pytest.skip(f"not run: {block.words}")


def test_what_has_no_shape_fails() -> None:
    pattern = documents.shape('{"event":"ready","pid":1,...}\n...\nrate  12.5 us\n')
    assert pattern.search('said before\n{"event":"ready","pid":123,"a":1}\n\nother\nrate 3 us\n')
    for wrong in ('{"event":"ready","pid":"x"}\nrate 3 us', '{"event":"ready","pid":1,"a":2}\n'):
        assert not pattern.search(wrong)
