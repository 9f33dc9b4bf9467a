"""The corpus of a service: what it asks, and what it notices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import written

from nearmetal.errors import NearmetalError
from nearmetal.paths import source_root
from nearmetal.service import Source
from nearmetal.service.corpus import Case, check, corpus
from nearmetal.service.load import Loaded, load
from nearmetal.service.runner import Runner

EXAMPLES = ("hello", "mirror", "seen")


def example(name: str) -> Loaded:
    return load(source_root() / "examples" / f"{name}.py")


class Right:
    """A program that answers as CPython does, at another place and time."""

    def __init__(self, loaded: Loaded) -> None:
        self.runner = Runner(loaded, b"another seed 123")
        self.asked: list[bytes] = []

    def exchange(self, requests: Sequence[bytes]) -> bytes:
        found = []
        for request in requests:
            self.asked.append(request)
            outcome = self.runner.answer(request, Source(bytes(16), 9), 17)
            found += [self.reply(outcome.reply)] if outcome.drop == "answered" else []
        if not found:
            raise NearmetalError("no answer in 3 s")
        return found[0]

    def reply(self, reply: bytes) -> bytes:
        return reply


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_right_program_passes(name: str) -> None:
    one = example(name)
    cases = corpus(one)
    program = Right(one)
    assert check(cases, program.exchange) is None
    assert program.asked == [case.request for case in cases]
    assert cases[-1].outcome.drop == "answered"
    assert any(case.outcome.drop != "answered" for case in cases)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("spoil", [lambda r: r[:-1], lambda r: r + b"a", lambda r: b"\xee" + r[1:]])
def test_a_wrong_program_does_not(name: str, spoil: object) -> None:
    one = example(name)
    program = Right(one)
    program.reply = spoil  # type: ignore[method-assign, assignment]
    said = check(corpus(one), program.exchange)
    assert said is not None and " got " in said and ", not " in said


def test_a_program_that_answers_what_it_should_drop_is_noticed() -> None:
    one = example("hello")
    program = Right(one)
    cases = corpus(one)
    right = program.exchange

    def chatty(requests: Sequence[bytes]) -> bytes:
        reply = right(requests)
        return reply if len(requests) == 1 else b"what?"

    said = check(cases, chatty)
    assert said is not None and "cases before it that have none" in said


def test_a_silent_program_is_noticed() -> None:
    one = example("hello")
    program = Right(one)
    program.runner.answer = lambda *_: ("", "quiet")  # type: ignore
    program.exchange = lambda requests: (_ for _ in ()).throw(  # type: ignore
        NearmetalError("no answer in 3 s")
    )
    said = check(corpus(one), program.exchange)
    assert said is not None and said.endswith("no answer in 3 s")


def test_bytes_that_change_by_themselves_are_not_compared(tmp_path: Path) -> None:
    body = "reply[0] = request[0]\nreply[1] = now_ns\nreply[2] = source.port\nreturn 3"
    requests = "def requests():\n    return [b'abc', b'defg']\n"
    cases = corpus(written.loaded(tmp_path, written.answering(body) + requests))
    assert {case.mask for case in cases if case.outcome.reply} == {b"\xff\0\0"}


def test_an_outcome_that_cannot_be_foreseen_is_left_out(tmp_path: Path) -> None:
    body = "reply[0] = 1\nreturn 1 if request[0] == 97 or now_ns & 1 else 0"
    requests = "def requests():\n    return [b'abc', b'bcd']\n"
    cases = corpus(written.loaded(tmp_path, written.answering(body) + requests))
    assert {case.request[:1] for case in cases if len(case.request) == 3} == {b"a"}


def test_each_case_has_an_id_of_its_own() -> None:
    cases: tuple[Case, ...] = corpus(example("hello"))
    ids = [case.request[:2] for case in cases if len(case.request) >= 2]
    assert len(set(ids)) == len(ids)


def test_requests_that_are_too_long_for_the_program_are_left_out() -> None:
    cases = corpus(example("mirror"), request_bytes_max=700)
    assert 0 < max(len(case.request) for case in cases) <= 700
