"""The load `replay`: any service, asked by records whose replies are known."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from generator import event, lcores, load, run, server, until

from nearmetal.service.records import Record, write
from tool import sanitized_path as program

BRIEF = ["--warmup", "0", "--time", "0.3", "--timeout", "2"]


@dataclass(frozen=True)
class Id:
    at: int = 0
    reply_at: int = 0


AT_THE_BEGIN = Id()


def asked(
    folder: Path, records: Sequence[Record], *before: Record, id: Id = AT_THE_BEGIN
) -> list[str]:
    """Write a file, and return the options that ask it."""
    path = folder / "records"
    write(path, records, before, id)
    return ["--service", "replay", "--records", str(path)]


def echoed(count: int) -> list[Record]:
    """Records for the service echo, of several lengths."""
    texts = [bytes([0, 0, number]) + bytes(number % 70) for number in range(count)]
    return [Record(text, text) for text in texts]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("order", [["--uniform"], ["--zipf", "0.99"]])
def test_every_reply_is_checked(tmp_path: Path, threads: int, order: list[str]) -> None:
    options = [*asked(tmp_path, echoed(50)), *BRIEF, *order, *lcores(threads)]
    with server("nm-mmsg-echo") as (_, address):
        events = run("--target", address, *options)
    assert [each["event"] for each in events][:2] == ["ready", "measuring"]
    result = event(events, "result")
    assert result["answered"] == result["sent"] == result["gets"] > 100
    assert result["wrong"] == result["unchecked_bytes"] == 0
    assert "first_wrong" not in result


def test_what_a_mask_leaves_out_is_counted(tmp_path: Path) -> None:
    record = Record(b"\0\0abcdef", b"\0\0a..xef", b"\xff\xff\xff\0\0\x07\xff\xff")
    with server("nm-mmsg-echo") as (_, address):
        result = event(run("--target", address, *asked(tmp_path, [record]), *BRIEF), "result")
    assert result["wrong"] == result["sent"] > 0  # d is 0x64, x is 0x78: bits 2 to 4 differ
    assert result["first_wrong"] == "record 0: byte 5 is 0x64, expected 0x78"
    record = Record(b"\0\0abcdef", b"\0\0a..xef", b"\xff\xff\xff\0\0\x03\xff\xff")
    with server("nm-mmsg-echo") as (_, address):
        result = event(run("--target", address, *asked(tmp_path, [record]), *BRIEF), "result")
    assert result["answered"] == result["sent"] > 0
    assert result["unchecked_bytes"] == 3 * result["answered"]


def test_a_reply_of_another_length_is_wrong(tmp_path: Path) -> None:
    for reply, said in (
        (b"\0\0abc", "3 bytes, expected 5"),
        (b"\0\0", "3 bytes or more, expected 2"),
    ):
        records = [Record(b"\0\0a", reply)]
        with server("nm-mmsg-echo") as (_, address):
            result = event(run("--target", address, *asked(tmp_path, records), *BRIEF), "result")
        assert result["wrong"] == result["sent"] > 0 and result["answered"] == 0
        assert result["first_wrong"] == f"record 0: {said}"


# ---- a service in Python: it remembers words, and has its id at another place in replies ----

SAY, TELL = b"s", b"t"


class Words:
    """Request: command, id, word. `s` adds a new word; `t` draws the text. Reply: text, 4, id."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.told: list[bytes] = []  # every request, without its id

    def answer(self, request: bytes) -> bytes | None:
        command, id, word = request[:1], request[1:3], request[3:]
        self.told.append(command + word)
        if command == SAY and word not in self.said:
            self.said.append(word)
        return b"".join(self.said)[:4].ljust(4, b"-") + id


PLACES = Id(1, 4)
FIRST = Record(b"s..ab", b"ab--..")
SECOND = Record(b"s..cd", b"abcd..")
MIX = [Record(b"t..", b"abcd..")]


@contextmanager
def answering(answer: Callable[[bytes], bytes | None]) -> Iterator[str]:
    """Answer datagrams in a thread."""
    over = threading.Event()

    def serve(udp: socket.socket) -> None:
        while not over.is_set():
            try:
                request, source = udp.recvfrom(2048)
            except TimeoutError:
                continue
            if (reply := answer(request)) is not None:
                udp.sendto(reply, source)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(0.1)
        thread = threading.Thread(target=serve, args=[udp])
        thread.start()
        yield f"127.0.0.1:{udp.getsockname()[1]}"
        over.set()
        thread.join()


@pytest.mark.parametrize("threads", [1, 2])
def test_before_is_asked_first_once_and_in_order(tmp_path: Path, threads: int) -> None:
    words = Words()
    options = [*asked(tmp_path, MIX, FIRST, SECOND, id=PLACES), *BRIEF, *lcores(threads)]
    with answering(words.answer) as address:
        events = run("--target", address, *options)
    assert [each["event"] for each in events][:3] == ["ready", "before", "measuring"]
    before = event(events, "before")
    assert before["records"] == 2 and before["lost"] == 0
    result = event(events, "result")
    assert result["answered"] == result["sent"] > 0
    assert words.told[:2] == [b"sab", b"scd"] and set(words.told[2:]) == {b"t"}


def test_the_first_answer_is_the_first_of_before(tmp_path: Path) -> None:
    words = Words()
    options = asked(tmp_path, MIX, FIRST, SECOND, id=PLACES)
    with answering(words.answer) as address:
        (told,) = run("--target", address, *options, "--first-answer")
        assert told["event"] == "first_answer" and words.said == [b"ab"]
        events = run("--target", address, *options, *BRIEF, "--await")
    assert [each["event"] for each in events][:3] == ["ready", "first_answer", "before"]
    assert event(events, "result")["wrong"] == 0


def test_a_wrong_answer_to_before_ends_the_load(tmp_path: Path) -> None:
    words = Words()
    words.said.append(b"-")
    options = asked(tmp_path, MIX, FIRST, SECOND, id=PLACES)
    with answering(words.answer) as address:
        done = subprocess.run(
            [program("nm-load"), "--target", address, *options, *BRIEF],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "before: the target gave a wrong answer" in done.stderr
    assert "record 0 of before: byte 0 is 0x2d, expected 0x61" in done.stderr
    assert words.told == [b"sab"]


def test_a_lost_request_of_before_is_asked_again(tmp_path: Path) -> None:
    words = Words()
    ignored: list[bytes] = []

    def answer(request: bytes) -> bytes | None:
        if request.startswith(b"s") and request.endswith(b"cd") and not ignored:
            ignored.append(request)
            return None
        return words.answer(request)

    options = asked(tmp_path, MIX, FIRST, SECOND, id=PLACES)
    with answering(answer) as address:
        events = run("--target", address, *options, "--warmup", "0", "--time", "0.2")
    assert event(events, "before")["lost"] == 1
    assert words.told[:2] == [b"sab", b"scd"]


def test_one_generator_of_several_asks_before(tmp_path: Path) -> None:
    words = Words()
    options = [*asked(tmp_path, MIX, FIRST, SECOND, id=PLACES), *BRIEF]
    with answering(words.answer) as address:
        target = ["--target", address, *options]
        with load(*target, "--share", "1/2") as one, load(*target, "--share", "2/2") as other:
            held = [until(each, "holding") for each in (one, other)]
            for each in (one, other):
                each.send_signal(signal.SIGUSR1)
            results = [event(until(each, "result"), "result") for each in (one, other)]
    assert [[each["event"] for each in told] for told in held] == [
        ["ready", "before", "holding"],
        ["ready", "holding"],
    ]
    assert all(result["answered"] == result["sent"] > 0 for result in results)
    assert words.told[:2] == [b"sab", b"scd"] and set(words.told[2:]) == {b"t"}


def test_a_target_that_comes_back_gets_its_state_again(tmp_path: Path) -> None:
    options = [*asked(tmp_path, MIX, FIRST, SECOND, id=PLACES), "--stay"]
    words, silent = Words(), threading.Event()

    def answer(request: bytes) -> bytes | None:
        return None if silent.is_set() else words.answer(request)

    told: list[dict[str, Any]] = []
    endless = [*options, "--warmup", "0", "--time", "0"]
    with answering(answer) as address, load("--target", address, *endless) as generator:
        assert generator.stdout is not None
        for line in generator.stdout:
            told.append(json.loads(line))
            names = [each["event"] for each in told]
            if names[-1] == "second" and "down" not in names:
                silent.set()
            elif names[-1] == "down":
                words.said.clear()
                silent.clear()
            elif names[-1] == "second" and "up" in names:
                generator.send_signal(signal.SIGINT)
    names = [each["event"] for each in told]
    assert names[names.index("down") :][:4] == ["down", "up", "before", "measuring"]
    assert told[-1]["event"] == "result" and told[-1]["wrong"] == 0


# ---- bad input ----


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--service", "replay"], "needs --records FILE"),
        (["--records", "FILE"], "--records: needs --service replay"),
        (["--service", "replay", "--records", "FOLDER"], "FOLDER: is no regular file"),
        (["--service", "replay", "--records", "MISSING"], "MISSING: No such file"),
        (["--service", "replay", "--records", "CUT"], "CUT: has 100 bytes, not 1"),
        (["--service", "replay", "--records", "TEXT"], "TEXT: is no file of records"),
        (["--service", "replay", "--records", "FILE", "--keys", "5"], "--keys"),
        (["--service", "replay", "--records", "FILE", "--no-preload"], "leave them out"),
        (["--service", "other"], "kv, echo or replay"),
    ],
)
def test_bad_input_draws_one_line(tmp_path: Path, options: list[str], said: str) -> None:
    whole = Path(asked(tmp_path, echoed(3))[-1]).read_bytes()
    for name, content in {"FILE": whole, "CUT": whole[:100], "TEXT": b"words\n" * 20}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "FOLDER").mkdir()
    words = [str(tmp_path / word) if word.isupper() else word for word in options]
    done = subprocess.run(
        [program("nm-load"), "--target", "127.0.0.1:1", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and said in done.stderr
