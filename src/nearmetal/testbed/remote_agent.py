"""An agent, as the controller sees it: requests, answers, and its children's events.

Everything uses one SSH connection. If it is lost, or an answer or all heartbeats fail to arrive in
time, the run ends (LostError); the machine restores itself when its agent's lease is over.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nearmetal.errors import CannotRunError, LostError, NearmetalError
from nearmetal.machine.processes.process import (
    Child,
    ChildError,
    Event,
    GarbledError,
    SilentError,
)
from nearmetal.testbed.lease import BEAT_S, LEASE_S
from nearmetal.testbed.provider import Host

ANSWER_S = 60.0
_PINGS = 8


class Station:
    """One machine of the testbed with its running agent."""

    def __init__(self, machine: Host, agent: Child) -> None:
        self.machine = machine
        self.name = machine.name
        self.dut_ended: str | None = None  # server's machine: why its DUT has ended
        self._agent = agent
        self._asked = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._said: defaultdict[int, deque[Event]] = defaultdict(deque)
        self._ended: dict[int, str] = {}
        self._awake = False  # it has sent something, and sends heartbeats from then on
        self._silent_since_s: float | None = None

    def ask(self, operation: str, timeout_s: float = ANSWER_S, **arguments: Any) -> Any:
        """Send a request and return its answer. Errors as in answer."""
        return self.answer(self.post(operation, **arguments), timeout_s)

    def post(self, operation: str, **arguments: Any) -> int:
        """Send a request and return its number for `answer`, so that machines work in parallel."""
        self._asked += 1
        self._agent.say(json.dumps({"id": self._asked, "op": operation, **arguments}))
        return self._asked

    def answer(self, number: int, timeout_s: float = ANSWER_S) -> Any:
        """Return a request's answer. NearmetalError: it failed. LostError: no answer in time."""
        deadline = time.monotonic() + timeout_s
        while number not in self._answers:
            if (left_s := deadline - time.monotonic()) <= 0:
                raise LostError(
                    f"{self.machine.where}: no answer from its agent in {timeout_s:.0f} s"
                )
            self._pump(left_s)
        found = self._answers.pop(number)
        if "error" in found:
            raise NearmetalError(f"{self.name}: {found['error']}")
        return found["ok"]

    def beat(self) -> None:
        """Send a heartbeat; called by a thread of its own. Errors are found by other requests."""
        with contextlib.suppress(OSError, ValueError):
            self._agent.say(json.dumps({"id": 0, "op": "beat"}))

    def end(self) -> None:
        """Request that the agent restores its machine and ends; `gone` waits for the end."""
        with contextlib.suppress(OSError, ValueError):
            self._agent.say(json.dumps({"id": 0, "op": "end"}))

    def gone(self, timeout_s: float) -> None:
        """Wait for the agent's end, at most timeout_s: it also ends with its lease."""
        self._agent.wait(timeout_s)

    def clock(self) -> tuple[int, int]:
        """Return (its clock minus ours, error bound) in ns, from the shortest round trip."""
        best = (0, 1 << 62)
        for _ in range(_PINGS):
            before = time.monotonic_ns()
            there = self.ask("clock")
            after = time.monotonic_ns()
            half = (after - before) // 2
            if half < best[1]:
                best = (there - before - half, half)
        return best

    def start(self, argv: Sequence[str], cpu: int | None) -> Remote:
        """Start a program on the machine."""
        found = self.ask("start", argv=list(argv), cpu=cpu)
        return Remote(self, found["child"], argv[0].rpartition("/")[2])

    def take(self, child: int, timeout_s: float) -> Event:
        """Return the next event of a program. ChildError: it has ended. SilentError: none."""
        deadline = time.monotonic() + timeout_s
        while not self._said[child]:
            if child in self._ended:
                raise ChildError(f"{self.name}: {self._ended[child]}")
            if (left_s := deadline - time.monotonic()) <= 0:
                raise SilentError(f"{self.name}: printed nothing for {timeout_s:g} s")
            self._pump(left_s)
        return self._said[child].popleft()

    def pump(self) -> None:
        """Read the message that is there, if any."""
        self._pump(0.001)

    def _pump(self, timeout_s: float) -> None:
        """Read one message, waiting at most timeout_s, and at most the time of a lease."""
        began_s = time.monotonic()
        try:
            message = self._agent.event(min(timeout_s, LEASE_S))
        except SilentError:
            self._silent(began_s)
            return
        except ChildError as error:
            if not self._awake:
                raise CannotRunError(
                    f"{self.machine.where}: its agent could not start: {error}{_cure(error)}"
                ) from error
            raise LostError(
                f"{self.machine.where}: the SSH connection is lost ({error}); the machine restores"
                " itself within seconds; check that it is up, then start again"
            ) from error
        self._awake, self._silent_since_s = True, None
        if "alive" in message:
            return
        if "id" in message:
            if message["id"]:
                self._answers[message["id"]] = dict(message)
        elif "dut" in message:
            self.dut_ended = f"{self.name}: {message['dut']}"
        elif "line" in message:
            self._said[message["child"]].append(message["line"])
        elif "ended" in message:
            self._ended[message["child"]] = message["ended"]
        else:
            raise LostError(f"{self.machine.where}: its agent sent an unknown message: {message}")

    def _silent(self, since_s: float) -> None:
        """Note a silence that began at since_s or earlier. LostError: it lasted a lease."""
        if self._silent_since_s is None:
            self._silent_since_s = since_s
        if self._awake and time.monotonic() - self._silent_since_s >= LEASE_S:
            raise LostError(
                f"{self.machine.where}: no sign of life for {LEASE_S:.0f} s: the machine or its"
                " network hangs; repair it, then start again"
            )


def _cure(error: ChildError) -> str:
    """Return the cure for an agent that could not start, if its output shows one, or ""."""
    if not isinstance(error, GarbledError):
        return ""
    return (
        "; `ssh HOST true` must print nothing: remove from its shell's start-up files (.bashrc)"
        " what prints without a terminal"
    )


class Remote:
    """A program on another machine, with the part of process.Child that a trial uses."""

    def __init__(self, station: Station, child: int, program: str) -> None:
        self.station = station
        self.child = child
        self.name = f"{program} on {station.name}"

    def event(self, timeout_s: float) -> Event:
        return self.station.take(self.child, timeout_s)

    def stop(self) -> None:
        with contextlib.suppress(NearmetalError):  # the program has ended with its machine
            self.station.ask("stop", child=self.child)

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def beating(stations: Sequence[Station]) -> Iterator[None]:
    """Send heartbeats to all agents while the body runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_S):
            for station in stations:
                station.beat()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
