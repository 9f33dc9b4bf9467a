"""Expected replies: what the load may check, and one line for each reply that it could not."""

from __future__ import annotations

from pathlib import Path

import pytest
import written

from nearmetal.errors import BadInputError
from nearmetal.paths import source_root
from nearmetal.service.expected import Expected, expected
from nearmetal.service.load import load
from nearmetal.service.records import Record

HEAD = """\
from nearmetal.service import *
class S(State):
    n = i64()
    key = seed()
service = Service("mine", port=7000, state=S, id=Id(at=0, reply_at=1), request_bytes_min=2)
"""
ANSWER = written.answering(
    """
    reply[0] = 7
    at = copy(reply, 1, request, 0, len(request))
    state.n += 1
    return at
    """
)
REQUESTS = "def requests():\n    return [b'ababc', Ask(b'xyz', unchecked=((3, 4),))]\n"


def of(folder: Path, text: str) -> Expected:
    return expected(written.loaded(folder, text, head=HEAD))


def refused(folder: Path, text: str) -> str:
    with pytest.raises(BadInputError) as caught:
        of(folder, text)
    said = str(caught.value)
    assert said.startswith(f"{folder / 'mine.py'}:") and "\n" not in said
    return said


def test_a_record_has_the_reply_of_cpython_and_no_id(tmp_path: Path) -> None:
    found = of(tmp_path, ANSWER + REQUESTS + "def before():\n    yield b'1234'\n")
    assert found.mix == (
        Record(b"\0\0abc", b"\x07\0\0abc"),
        Record(b"\0\0z", b"\x07\0\0z", b"\xff\xff\xff\0"),
    )
    assert found.before == (Record(b"\0\x0034", b"\x07\0\x0034"),)
    assert found.unchecked_bytes == 0.5


@pytest.mark.parametrize(
    ("write", "cause"),
    [
        ("reply[3] = state.n", "the requests come in another order"),
        ("reply[3] = now_ns >> 3", "it is another time"),
        ("reply[3] = source.port", "they come from another source"),
        ("reply[3] = source.addr[15]", "they come from another source"),
        ("reply[3] = keyed_hash(state.key, request, 2, 3)", "the seed is another"),
        ("reply[3] = request[0] + request[1]", "the id is another"),
    ],
)
def test_a_reply_that_cannot_be_foreseen_is_refused_with_its_cause(
    tmp_path: Path, write: str, cause: str
) -> None:
    text = ANSWER.replace("    return", f"    {write}\n    return")
    said = refused(tmp_path, text + REQUESTS)
    assert f"requests, request 0: byte 3 of its reply is another when {cause}; name" in said
    free = REQUESTS.replace("b'ababc'", "Ask(b'ababc', unchecked=((3, 4),))")
    assert of(tmp_path, text + free).unchecked_bytes == 1


def test_another_length_or_no_reply_is_refused(tmp_path: Path) -> None:
    longer = ANSWER.replace("return at", "return at + (state.n & 1)")
    assert "reply has 6 bytes, not 7 when the requests come" in refused(tmp_path, longer + REQUESTS)
    none = ANSWER.replace("return at", "return at if state.n != 2 else 0")
    assert "requests, request 1 gets no reply (quiet)" in refused(tmp_path, none + REQUESTS)


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ("", "there are no requests to send; write def requests()"),
        ("def requests():\n    return []", "there are no requests to send"),
        ("def requests():\n    return ['a']", "request 0: 'a' is neither bytes nor Ask(bytes)"),
        ("def requests():\n    return 5", "requests gives a value of type int; return a list"),
        ("def requests():\n    return [b'a']", "requests, request 0 gets no reply (short)"),
        ("def requests():\n    return [bytes(1473)]", "1,473 bytes; at most 1,472 fit in a frame"),
        (
            "def requests():\n    return [Ask(b'abc', unchecked=((3, 9),))]",
            "unchecked (3, 9) is outside of its reply of 4 bytes",
        ),
        (
            "def requests():\n    return [Ask(b'abc', unchecked=(3, 4))]",
            "unchecked must have pairs",
        ),
        ("def before():\n    return [b'a']\n" + REQUESTS, "before, request 0 gets no reply"),
    ],
)
def test_wrong_requests_are_refused(tmp_path: Path, requests: str, said: str) -> None:
    assert said in refused(tmp_path, ANSWER + requests)


def test_a_reply_without_the_id_is_refused(tmp_path: Path) -> None:
    text = ANSWER.replace("return at", "reply[1] = 5\nreturn at".replace("\n", "\n    "))
    assert "does not have the request's id at reply_at=1" in refused(tmp_path, text + REQUESTS)


def test_a_service_without_an_id_has_no_load(tmp_path: Path) -> None:
    one = written.loaded(tmp_path, ANSWER.replace("state.n += 1\n", "\n") + REQUESTS)
    with pytest.raises(BadInputError) as caught:
        expected(one)
    assert str(caught.value) == (
        f"{tmp_path / 'mine.py'}: its Service has no id, by which the load matches a reply to its"
        " request; add id=Id(at=0, reply_at=0) with its positions"
    )


@pytest.mark.parametrize("name", ["hello", "mirror", "seen"])
def test_the_examples_are_loads(name: str, tmp_path: Path) -> None:
    found = expected(load(source_root() / "examples" / f"{name}.py"))
    found.write(tmp_path / "records")
    assert (tmp_path / "records").stat().st_size > 0


COUNTS = written.answering(
    """
    state.n += 1
    at = copy(reply, 0, b"=", 0, 1)
    at = copy(reply, at, request, 0, 2)
    return store16(reply, at, state.n{how})
    """
)
LEFT = "def requests():\n    return [Ask(b'abc', unchecked=((3, 5),))]\n"
BEFORE = "def before():\n    return [b'abx', b'aby']\n"


def test_a_request_of_before_may_come_again(tmp_path: Path) -> None:
    """Its count is not compared: the first one is sent until the program answers."""
    found = of(tmp_path, COUNTS.replace("{how}", "") + LEFT + BEFORE)
    first, second = found.before
    assert first == Record(b"\0\0x", b"=\0\0\0\x01", b"\xff\xff\xff\0\0")
    assert second.mask == b"\xff\xff\xff\xff\0" or second.mask == b"\xff\xff\xff\0\0"


def test_a_request_of_before_that_gets_another_length_again_is_refused(tmp_path: Path) -> None:
    longer = COUNTS.replace("{how}", ") + (0 if state.n < 2 else 1")
    said = refused(tmp_path, longer + LEFT + BEFORE)
    assert "before, request 0: its reply has 5 bytes, and when it comes again 6 bytes" in said


def test_a_state_that_depends_on_how_often_before_came_is_refused(tmp_path: Path) -> None:
    counts = COUNTS.replace("{how}", "").replace("state.n += 1", "state.n += request[2] == 120")
    said = refused(tmp_path, counts + BEFORE + "def requests():\n    return [b'abc']\n")
    assert "requests, request 0: byte " in said and "when the requests of before come again" in said
