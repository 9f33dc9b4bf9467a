"""Loading a service's file: what it gives, and one line for each fault."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import written

from nearmetal.errors import BadInputError
from nearmetal.service.load import load

ANSWER = written.answering("return 0")


def refused(path: Path, **arguments: str) -> str:
    with pytest.raises(BadInputError) as caught:
        load(path, arguments)
    said = str(caught.value)
    assert "\n" not in said and "Traceback" not in said
    return said


@pytest.mark.parametrize(
    ("head", "text", "said"),
    [
        ("", ANSWER, "{}: declares no service; write service = Service("),
        ("", "server = Service('a', port=1)", "must have the name service, not server"),
        ("service = 5\n", ANSWER, "{}: declares no service"),
        (None, "", "{}: has no function answer(request, reply, state, source, now_ns)"),
        (None, "answer = 5", "{}: answer is not a function; write def answer(request,"),
        (None, "def answer(request):\n    return 0", "{}:3: answer has other parameters; write"),
        (None, "async " + ANSWER, "{}:3: answer is async, or it yields; write def answer("),
        (None, ANSWER + "def init(state):\n    pass", "{}:5: init has other parameters; write def"),
        (None, "def answer(:\n", "{}:3: invalid syntax"),
        (None, "x = [", "{}:3: '[' was never closed"),
        (None, "x = 1 // 0", "{}:3: ZeroDivisionError: "),
        (None, "import nothing_like_it", "{}:3: ModuleNotFoundError: No module named"),
        (None, "import sys; sys.exit(3)", "{}: it ends Python; remove sys.exit"),
        (None, "open('/nothing/there')", "{}:3: FileNotFoundError: "),
        (None, ANSWER + "def init(state, args):\n    state.x = 1", "{}:6: init: AttributeError: "),
        ("service = Service('a', port=0)\n", ANSWER, "{}:2: service 'a': port=0: must be"),
        (
            "class S(State):\n    a = 5\nservice = Service('a', port=1, state=S)\n",
            ANSWER,
            "{}:2: class S: a is no field",
        ),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, head: str | None, text: str, said: str) -> None:
    if head is not None:
        head = "from nearmetal.service import *\n" + head
    path = written.write(tmp_path, text, head=written.HEAD if head is None else head)
    assert said.format(path) in refused(path)


def test_a_file_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    for content in (b"\xff\xfe\x00", b"a\0b", b"# coding: none\n", b"x = '\xff'\n"):
        path.write_bytes(content)
        assert refused(path).startswith(f"{path}:")


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.py").startswith(f"{tmp_path / 'no.py'}: No such file")
    assert "it is a folder" in refused(tmp_path)


def test_a_fault_beside_the_file_names_that_file(tmp_path: Path) -> None:
    (tmp_path / "names.py").write_text("\nraise KeyError('x')\n")
    path = written.write(tmp_path, "import names\n")
    assert refused(path).startswith(f"{tmp_path / 'names.py'}:2: KeyError")


def test_arguments_reach_init_and_its_files_are_hashed(tmp_path: Path) -> None:
    (tmp_path / "zone").write_bytes(b"abc")
    head = (
        "from nearmetal.service import *\n"
        "class S(State):\n    n = i64()\n    text = array(u8, 9)\n"
        "service = Service('a', port=1, state=S)\n"
    )
    init = """
def init(state, args):
    state.n = args.integer("n", 3, most=9)
    content = args.file("zone", "zone")
    copy(state.text, 0, content, 0, len(content))
"""
    path = written.write(tmp_path, ANSWER + init, head=head)
    one = load(path, {"n": "0x7"})
    state = one.state()
    assert state.n == 7 and bytes(state.text.items) == b"abc".ljust(9, b"\0")  # type: ignore
    assert set(one.hashes) == {"mine.py", "zone"}
    assert load(path).state().n == 3  # type: ignore[attr-defined]
    assert f"{path}:10: init: --service-arg n=10: must be a number from 0 to 9" in refused(
        path, n="10"
    )
    assert "--service-arg n=x: must be a number" in refused(path, n="x")
    assert "--service-arg zone=none: " in refused(path, zone="none")
    assert "unknown --service-arg 'zome'; did you mean zone?" in refused(path, zome="x")


def test_an_argument_that_no_init_reads_is_refused(tmp_path: Path) -> None:
    assert "--service-arg x: this service takes no arguments" in refused(
        written.write(tmp_path, ANSWER), x="1"
    )


def test_two_services_may_have_files_of_one_name_beside_them(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "names.py").write_text(f"NAME = b'{name}'\n")
        text = ANSWER + "def requests():\n    import names\n    return [names.NAME]\n"
        found.append(written.loaded(folder, text))
    assert [one.call("requests") for one in found] == [(b"one",), (b"two",)]
    assert "names" not in sys.modules and "service_mine" not in sys.modules


def test_a_failing_list_of_requests_is_one_line(tmp_path: Path) -> None:
    text = ANSWER + "def requests():\n    yield b'a'\n    yield 1 // 0\n"
    one = written.loaded(tmp_path, text)
    with pytest.raises(BadInputError, match=r"mine.py:7: requests: ZeroDivisionError"):
        one.call("requests")
    assert one.call("before") == ()
