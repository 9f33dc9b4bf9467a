"""Messages of `serve` while it runs: reasons that are new or have doubled, none twice."""

from __future__ import annotations

import re
import socket

import pytest

import documents
from nearmetal.commands import serve_log, serve_words
from nearmetal.commands.serve_log import EVERY_S, Log
from nearmetal.machine.processes import supervisor
from nearmetal.machine.processes.process import Event
from nearmetal.paths import source_root


def event(answered: int, **drops: int) -> Event:
    received = answered + sum(drops.values())
    return {"received": received, "drops": {"answered": answered, **drops}, "tx_errors": 0}


def test_the_page_shows_such_lines(capsys: pytest.CaptureFixture[str]) -> None:
    page = documents.shown("docs/packaging.md", "host-mmsg serves on").splitlines()
    ready = {"listen": "10.0.0.1:11211", "pid": 1}
    held = {"items": 1031, "evicted": 0}
    said = (
        serve_words.in_one_line("host-mmsg", ready, ["10.0.0.0/24"]),
        Listener(capsys).hears(event(90, source=12)).removeprefix("nearmetal: ").rstrip(),
        serve_words.ended("host-mmsg", {**event(90, source=12), **held}),
    )
    for shown, line in zip(page, said, strict=True):
        assert documents.shape(shown).fullmatch(line), line


class Listener:
    """A log with a clock that the test advances."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *, quiet: bool = False) -> None:
        self.now_s = 0.0
        self._capsys = capsys
        self._log = Log("host-mmsg", quiet=quiet, clock=lambda: self.now_s)

    def hears(self, counters: Event, after_s: float = EVERY_S) -> str:
        """Return the output for these counters, after some seconds."""
        self.now_s += after_s
        self._log.heard(counters)
        return self._capsys.readouterr().err


def test_a_reason_is_told_when_it_is_new_and_when_it_has_doubled(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = Listener(capsys)
    assert log.hears(event(5)) == ""
    assert log.hears(event(5, source=3)) == (
        "nearmetal: host-mmsg: 5 of 8 requests answered so far; without an answer: 3 source\n"
    )
    assert log.hears(event(1000, source=5)) == ""
    assert log.hears(event(1000, source=5, short=1)).endswith("without an answer: 1 short\n")
    assert log.hears(event(1000, source=6, short=1)).endswith("without an answer: 6 source\n")
    assert log.hears({**event(9), "tx_errors": 2}).endswith("without an answer: 2 tx_errors\n")


def test_counters_of_every_second_give_no_line_a_second(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = Listener(capsys)
    said = [log.hears(event(1, source=2**second), after_s=1) for second in range(EVERY_S)]
    assert 0 < sum(map(bool, said)) <= 2


def test_what_was_for_others_is_no_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        Listener(capsys).hears(event(5, **dict.fromkeys(serve_log._USUAL - {"answered"}, 9))) == ""
    )


def test_what_is_usual_is_a_reason_of_the_programs() -> None:
    text = (source_root() / "native/include/drop.h").read_text(encoding="utf-8")
    assert set(re.findall(r'X\(DROP_\w+, "(\w+)"\)', text)) > serve_log._USUAL


def test_a_manager_is_told_also_where_nothing_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")
        manager.settimeout(10)
        monkeypatch.setenv(supervisor.SOCKET, f"@{manager.getsockname()[1:].decode()}")
        assert Listener(capsys, quiet=True).hears(event(5, source=1)) == ""
        assert manager.recv(1000) == b"STATUS=host-mmsg: 5 of 6 requests answered"


def test_the_end_names_the_first_fault_of_each_class() -> None:
    first = {"word": "index_error", "file": "mine.py", "line": 7}
    said = serve_words.ended("host-mmsg", {**event(90, index_error=2), "faults": [first]})
    assert said.endswith("2 index_error; first index_error: mine.py, line 7")
