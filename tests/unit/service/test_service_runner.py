"""A service in CPython: outcomes, limits of the reply, faults by class, and what does not end."""

from __future__ import annotations

from pathlib import Path

import pytest
import written

from nearmetal.paths import source_root
from nearmetal.service import Source, bytewise, faults, watch
from nearmetal.service.load import load
from nearmetal.service.runner import AMPLIFY_MAX, Outcome, Runner
from nearmetal.service.watch import StuckError, Watch

SOURCE = Source(bytes(15) + b"\x01", 4000)
NOT_BACK = "answer did not come back for a second; the request"
HEAD = """\
from nearmetal.service import *
class S(State):
    hits = i64()
    level = i8()
service = Service("mine", port=7000, state=S, counters=("hits",), gauges=("level",),
                  drops=("late", "early"), request_bytes_min=2, reply_bytes_max=100)
"""


def runner(folder: Path, body: str) -> Runner:
    return Runner(written.loaded(folder, written.answering(body), head=HEAD))


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("return copy(reply, 0, request, 0, 3)", Outcome(b"abc", "answered")),
        ("return 0", Outcome(b"", "quiet")),
        ("return -1", Outcome(b"", "late")),
        ("return -2", Outcome(b"", "early")),
        ("return -3", Outcome(b"", faults.BAD_RETURN)),
        ("return len(reply) + 1", Outcome(b"", faults.BAD_RETURN)),
        ("return None", Outcome(b"", faults.BAD_RETURN)),
        ("return 1.0", Outcome(b"", faults.BAD_RETURN)),
        ("return 3", Outcome(b"\0\0\0", "answered")),
        ("reply[len(reply)] = 1", Outcome(b"", faults.INDEX_ERROR)),
        ("return 1 // (request[0] - 97)", Outcome(b"", faults.ZERO_DIVISION)),
        ("assert not request", Outcome(b"", faults.ASSERT_ERROR)),
        ("raise ValueError('no')", Outcome(b"", faults.RAISED)),
        ("return 1 << request[0]", Outcome(b"", faults.RAISED)),
        ("return answer(request, reply, state, source, now_ns)", Outcome(b"", faults.RAISED)),
        (
            "at = copy(reply, 0, source.addr, 15, 16)\nreturn store16(reply, at, source.port)",
            Outcome(b"\x01\x0f\xa0", "answered"),
        ),
        ("return store64(reply, 0, now_ns)", Outcome(b"\0\0\0\0\0\0\0\x05", "answered")),
    ],
)
def test_outcomes(tmp_path: Path, body: str, outcome: Outcome) -> None:
    assert runner(tmp_path, body).answer(b"abcd", SOURCE, 5) == outcome


@pytest.mark.parametrize(
    ("nb_bytes", "trusted", "room"),
    [(2, False, 6), (33, False, 99), (34, False, 100), (2, True, 100)],
)
def test_the_reply_is_cut_to_its_room(
    tmp_path: Path, nb_bytes: int, trusted: bool, room: int
) -> None:
    one = runner(tmp_path, "return len(reply)")
    assert one.answer(bytes(nb_bytes), SOURCE, 0, trusted=trusted) == (bytes(room), "answered")


def test_no_reply_is_longer_than_the_contract_allows() -> None:
    header = (source_root() / "native/include/service.h").read_text()
    assert f"#define SERVICE_AMPLIFY_MAX {AMPLIFY_MAX}u" in header


def test_a_request_that_is_too_short_is_not_asked(tmp_path: Path) -> None:
    one = runner(tmp_path, "state.hits += 1\nreturn 0")
    assert one.answer(b"a", SOURCE, 0).drop == "short"
    assert one.counters() == {"level": 0, "hits": 0}


def test_counters_are_fields_of_the_state(tmp_path: Path) -> None:
    one = runner(tmp_path, "state.hits += 2\nstate.level -= 1\nreturn 0")
    one.answer(b"ab", SOURCE, 0)
    assert one.counters() == {"level": 2**64 - 1, "hits": 2}


def test_the_first_fault_of_each_class_is_kept_with_its_line(tmp_path: Path) -> None:
    one = runner(tmp_path, "if request[0] == 65:\n    return request[9]\nreturn load64(request, 0)")
    for request in (b"AB", b"BC", b"AC"):
        assert one.answer(request, SOURCE, 0).drop == faults.INDEX_ERROR
    (fault,) = one.faults.values()
    assert str(fault) == f"index_error: IndexError: index out of range at {tmp_path}/mine.py:9"
    what = {"word": "index_error", "file": "mine.py", "line": 9}
    assert fault.event() == what | {"what": "IndexError: index out of range"}
    assert fault.request == b"AB"


def test_a_fault_within_a_function_of_ours_names_the_users_line(tmp_path: Path) -> None:
    one = runner(tmp_path, "x = 1\nreturn load64(request, x)")
    one.answer(b"AB", SOURCE, 0)
    (fault,) = one.faults.values()
    assert str(fault) == f"index_error: IndexError: bytes 1 to 9 of 2 at {tmp_path}/mine.py:9"


def test_a_wrong_length_is_a_fault_with_its_reason(tmp_path: Path) -> None:
    one = runner(tmp_path, "return 101")
    one.answer(bytes(50), SOURCE, 0)
    assert str(one.faults[faults.BAD_RETURN]) == (
        "bad_return: answer returned 101; it must be 0 to 100 bytes, or from -1 on one of 2 drop"
        f" words at {tmp_path}/mine.py:7"
    )


@pytest.mark.parametrize("body", ["while True:\n    pass", "while load16(request, 0):\n    x = 1"])
def test_an_answer_that_does_not_come_back_is_noticed(tmp_path: Path, body: str) -> None:
    one = written.loaded(tmp_path, written.answering(body), head=HEAD)
    watched = Runner(one)
    with (
        pytest.raises(StuckError, match=rf"mine\.py:[78]: {NOT_BACK} had 2 bytes: 6162$"),
        Watch(watched, one.finder),
    ):
        watched.answer(b"ab", SOURCE, 0)


def test_the_request_of_a_stuck_answer_is_shown_as_hex() -> None:
    assert watch.in_words(b"l") == f"{NOT_BACK} had 1 byte: 6c"
    assert watch.in_words(bytes(range(8))).endswith(" 8 bytes: 0001020304050607")
    assert watch.in_words(bytes(range(9))).endswith(" 9 bytes: 0001020304050607...")


def test_many_short_answers_are_not_taken_for_one_that_hangs(tmp_path: Path) -> None:
    one = written.loaded(tmp_path, written.answering("x = 1\nreturn 0"), head=HEAD)
    watched = Runner(one)
    watch = Watch(watched, one.finder)
    for _ in range(20):
        watched.answer(b"ab", SOURCE, 0)
        watched.inside = True  # as if a tick came in the middle of each
        watch._tick(0, None)


@pytest.mark.parametrize("name", ["hello", "mirror", "seen"])
def test_the_examples_answer_their_own_requests(name: str) -> None:
    one = load(source_root() / "examples" / f"{name}.py")
    asked = Runner(one)
    for each in (*one.call("before"), *one.call("requests")):
        request = each if isinstance(each, bytes) else each.request  # type: ignore[attr-defined]
        outcome = asked.answer(request, SOURCE, 0)
        assert outcome.drop == "answered" and 0 < len(outcome.reply) <= 3 * len(request)
    assert asked.faults == {}
    assert bytewise.copy is vars(one.module)["copy"]
