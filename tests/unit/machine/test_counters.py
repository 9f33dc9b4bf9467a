"""Counters requested by a signal arrive, even if a signal is lost."""

from __future__ import annotations

import select

import pytest

from nearmetal.machine.processes.process import Child, ChildError, Where

LONG_S = 120.0
SHORT_S = 0.2
# n counts the signals handled; $1 is run at each, $2 before the script is ready.
SCRIPT = """
say() { echo "{\\"event\\":\\"$1\\",\\"number\\":$n}"; }
n=0 asked=0
trap 'asked=1' USR1
eval "$2"
say ready
while :; do
    [ $asked = 0 ] || { asked=0 n=$((n + 1)); eval "$1"; }
    sleep 0.01
done
"""


def server(when_asked: str, before: str = ":") -> Child:
    """A simulated DUT."""
    return Child(["sh", "-c", SCRIPT, "sh", when_asked, before], Where())


def test_each_question_has_its_answer() -> None:
    with server("say counters") as child:
        child.expect("ready", LONG_S)
        assert [child.counters(LONG_S)["number"] for _ in range(3)] == [1, 2, 3]


def test_a_signal_that_is_lost_is_sent_again() -> None:
    with server("[ $n = 1 ] || say counters") as child:
        child.expect("ready", LONG_S)
        assert child.counters(LONG_S)["number"] == 2


def test_what_is_said_in_between_is_read_later_in_its_order() -> None:
    with server("say down; say up; say counters; say second") as child:
        assert select.select([child], [], [], LONG_S)[0]
        assert child.counters(LONG_S)["number"] == 1  # ready is still unread
        assert child.counters(LONG_S)["number"] == 2
        said = [child.event(LONG_S) for _ in range(7)]
        names = [(event["event"], event["number"]) for event in said]
        assert names == [
            ("ready", 0), ("down", 1), ("up", 1), ("second", 1), ("down", 2), ("up", 2),
            ("second", 2),
        ]  # fmt: skip


def test_counters_of_before_answer_no_question() -> None:
    both = 'both=$(say counters; say counters); echo "$both"'  # in one write
    with server("say counters", before=both) as child:
        assert select.select([child], [], [], LONG_S)[0]
        assert child.counters(LONG_S)["number"] == 1
        assert child.expect("ready", LONG_S)["number"] == 0


def test_who_tells_none_is_named() -> None:
    words = r"^sh did not send its counters within 0.2 s$"
    with server("say second") as child:
        child.expect("ready", LONG_S)
        with pytest.raises(ChildError, match=words):
            child.counters(SHORT_S)
        assert child.expect("second", LONG_S)


def test_who_ends_instead_is_named_with_its_reason() -> None:
    with server("echo no memory >&2; exit 3") as child:
        child.expect("ready", LONG_S)
        with pytest.raises(ChildError, match=r"^sh ended with exit code 3: no memory$"):
            child.counters(LONG_S)
