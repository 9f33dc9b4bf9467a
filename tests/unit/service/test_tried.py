"""Trying a file: its own tests come true, or one line says which does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import written

from nearmetal.errors import BadInputError
from nearmetal.service.load import load
from nearmetal.service.new import write
from nearmetal.service.tried import tried

HEAD = """\
from nearmetal.service import *
class S(State):
    n = i64()
service = Service("mine", port=7000, state=S, drops=("odd",))
"""
ANSWER = written.answering(
    """
    state.n += 1
    if request[0] == 0:
        return 1 // (len(request) - 1)
    if len(request) & 1:
        return -1
    reply[0] = state.n
    return copy(reply, 1, request, 0, len(request))
    """
)


def test_what_the_file_says_comes_true(tmp_path: Path) -> None:
    text = """
def before():
    yield b"ab"
def cases():
    yield Ask(b"cd", reply=b"\\x02cd")
    yield Ask(b"cde", drop="odd")
    yield Ask(b"", drop="short")
    yield Ask(b"\\0", drop="zero_division")
    yield Ask(b"ef", reply=b"?ef", unchecked=((0, 1),))
    yield b"gh"
def requests():
    yield Ask(b"ij", reply=b"\\x02ij")
"""
    done = tried(written.loaded(tmp_path, ANSWER + text, head=HEAD))
    assert (done.requests, done.tests, done.load) == (8, 6, None)
    assert (
        str(done) == "mine: 8 requests asked, 6 of them tests: all right; no load, as it has no id"
    )


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        ("Ask(b'cd', reply=b'\\x02cd')", "got b'\\x01cd', not b'\\x02cd'"),
        ("Ask(b'cd', reply=b'\\x01cd!')", "got b'\\x01cd', not b'\\x01cd!'"),
        ("Ask(b'cde', reply=b'x')", "it is odd, not answered"),
        ("Ask(b'cd', drop='odd')", "it is answered, not odd"),
        (
            "Ask(b'\\0', reply=b'')",
            "it is zero_division, not answered; zero_division: Zero",
        ),
    ],
)
def test_what_does_not_come_true_is_one_line(tmp_path: Path, ask: str, said: str) -> None:
    text = f"def cases():\n    yield b''\n    yield {ask}\n"
    with pytest.raises(BadInputError) as caught:
        tried(written.loaded(tmp_path, ANSWER + text, head=HEAD))
    assert str(caught.value).startswith(f"{tmp_path / 'mine.py'}: cases, request 1: {said}")


def test_a_case_that_hangs_is_one_line(tmp_path: Path) -> None:
    from nearmetal.service.watch import StuckError

    text = written.answering("while True:\n    pass") + "def cases():\n    yield b'x'\n"
    with pytest.raises(StuckError, match=r"mine.py:[45]: answer did not come back"):
        tried(written.loaded(tmp_path, text))


@pytest.mark.parametrize("name", ["greeter", "a", "x2345678901b"])
def test_a_new_service_passes_its_own_tests_and_has_a_load(tmp_path: Path, name: str) -> None:
    path = write(name, tmp_path)
    done = tried(load(path))
    assert done.tests == 3 and done.load is not None and done.load.unchecked_bytes == 0
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache", "--isolated"]
        command += ["--line-length", "100", str(path)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout


@pytest.mark.parametrize("name", ["Greeter", "", "my-own", "../x", "a" * 13, "1st"])
def test_a_name_that_a_service_cannot_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="a name has 1 to 12 characters"):
        write(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("precious")
    with pytest.raises(BadInputError, match="is there already"):
        write("mine", tmp_path)
    assert (tmp_path / "mine.py").read_text() == "precious"
