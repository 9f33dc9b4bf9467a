"""The monitor, with a simulated QEMU that answers, refuses, keeps silent or ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nearmetal.machine.vm.qmp import Monitor, MonitorError

ANSWER_S = 120.0
SILENCE_S = 0.2
GREETING = {
    "QMP": {
        "version": {"qemu": {"micro": 2, "minor": 2, "major": 7}, "package": ""},
        "capabilities": [],
    }
}
Answer = Callable[[str], dict[str, Any] | None]


def said(command: str) -> dict[str, Any] | None:
    """Return QEMU's reply to a command."""
    answers: dict[str, Any] = {
        "qmp_capabilities": {},
        "query-version": {"qemu": {"micro": 2, "minor": 2, "major": 7}, "package": ""},
        "query-cpus-fast": [
            {"cpu-index": 1, "thread-id": 31, "qom-path": "/b", "target": "x86_64"},
            {"cpu-index": 0, "thread-id": 30, "qom-path": "/a", "target": "x86_64"},
        ],
    }
    if command in answers:
        return {"return": answers[command]}
    return {"error": {"class": "CommandNotFound", "desc": f"{command}: no such command"}}


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    made = Monitor()
    yield made
    made.close()
    made.close()


def serve(monitor: Monitor, answer: Answer, *, greets: bool = True) -> None:
    """Run QEMU's end in a thread; an answer of None ends it."""
    theirs = socket.socket(fileno=os.dup(monitor.descriptor))
    monitor.inherited()

    def run() -> None:
        with theirs:
            if greets:
                theirs.sendall(json.dumps(GREETING).encode() + b"\n")
            while piece := theirs.recv(4096):  # a command at a time, without an end of line
                asked = json.loads(piece)
                answered = answer(asked["execute"])
                if answered is None:
                    return
                if answered:
                    number = {"id": asked["id"]} if "id" in asked else {}
                    theirs.sendall(json.dumps(answered | number).encode() + b"\n")

    threading.Thread(target=run, daemon=True).start()


def test_version_and_threads_in_the_order_of_processors(monitor: Monitor) -> None:
    serve(monitor, said)
    assert monitor.version(ANSWER_S) == "7.2.2"
    assert monitor.vcpu_threads(ANSWER_S) == [30, 31]


def test_a_refusal_is_told(monitor: Monitor) -> None:
    serve(monitor, lambda command: said("x" if command.startswith("query") else command))
    with pytest.raises(MonitorError, match=r"query-version: .*no such command"):
        monitor.version(ANSWER_S)


def test_silence_is_bounded_before_and_after_the_greeting(monitor: Monitor) -> None:
    serve(monitor, lambda command: said(command) if command == "qmp_capabilities" else {})
    with pytest.raises(MonitorError, match=r"did not answer query-cpus-fast in 0.2 s"):
        monitor.vcpu_threads(SILENCE_S)
    mute = Monitor()
    serve(mute, said, greets=False)
    with pytest.raises(MonitorError, match=r"did not answer query-version"):
        mute.version(SILENCE_S)
    mute.close()


def test_one_that_goes_while_it_is_asked(monitor: Monitor) -> None:
    serve(monitor, lambda command: said(command) if command == "qmp_capabilities" else None)
    monitor.quit(ANSWER_S)  # QEMU may end before its answer
    with pytest.raises(MonitorError):
        monitor.version(ANSWER_S)


def test_an_interrupt_comes_through_once_the_answer_is_there(monitor: Monitor) -> None:
    def pressed(command: str) -> dict[str, Any] | None:
        os.kill(os.getpid(), signal.SIGINT)
        return said(command)

    serve(monitor, pressed)
    with pytest.raises(KeyboardInterrupt):
        monitor.version(ANSWER_S)


def test_one_that_goes_before_it_can_be_asked(monitor: Monitor) -> None:
    serve(monitor, lambda command: None)
    with pytest.raises(MonitorError):
        monitor.version(ANSWER_S)


def test_one_that_never_was(monitor: Monitor) -> None:
    monitor.inherited()
    with pytest.raises(MonitorError):
        monitor.version(ANSWER_S)
