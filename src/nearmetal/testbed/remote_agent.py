"""An agent, seen from the controller: requests, answers, and what its children say.

All of it goes through one SSH connection. Where that is lost, an answer does not come, or no sign
of life for the time of a lease, the run ends (LostError); the machine cleans up by itself when its
lease is over.
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
    """One machine of the testbed, with its agent running."""

    def __init__(self, machine: Host, agent: Child) -> None:
        self.machine = machine
        self.name = machine.name
        self.dut_ended: str | None = None  # of the server's machine: why
        self._agent = agent
        self._asked = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._said: defaultdict[int, deque[Event]] = defaultdict(deque)
        self._ended: dict[int, str] = {}
        self._awake = False  # it has said something: from then on it gives signs of life
        self._silent_since_s: float | None = None

    def ask(self, operation: str, timeout_s: float = ANSWER_S, **arguments: Any) -> Any:
        """One request, and its answer."""
        return self.answer(self.post(operation, **arguments), timeout_s)

    def post(self, operation: str, **arguments: Any) -> int:
        """A request whose answer is read later, so that several machines work at a time."""
        self._asked += 1
        self._agent.say(json.dumps({"id": self._asked, "op": operation, **arguments}))
        return self._asked

    def answer(self, number: int, timeout_s: float = ANSWER_S) -> Any:
        """The answer to a request that was posted."""
        deadline = time.monotonic() + timeout_s
        while number not in self._answers:
            if (left_s := deadline - time.monotonic()) <= 0:
                raise LostError(
                    f"{self.machine.where}: its agent gave no answer for {timeout_s:.0f} s"
                )
            self._pump(left_s)
        found = self._answers.pop(number)
        if "error" in found:
            raise NearmetalError(f"{self.name}: {found['error']}")
        return found["ok"]

    def beat(self) -> None:
        """A sign of life, from a thread of its own; whether it came through others find out."""
        with contextlib.suppress(OSError, ValueError):
            self._agent.say(json.dumps({"id": 0, "op": "beat"}))

    def end(self) -> None:
        """It is to put its machine back and go; `gone` waits for that."""
        with contextlib.suppress(OSError, ValueError):
            self._agent.say(json.dumps({"id": 0, "op": "end"}))

    def gone(self, timeout_s: float) -> None:
        """Wait, but not for ever: it goes by itself at the end of its lease."""
        self._agent.wait(timeout_s)

    def clock(self) -> tuple[int, int]:
        """Its clock minus ours, and by how much that may be wrong: half the shortest round trip."""
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
        """Start a program there."""
        found = self.ask("start", argv=list(argv), cpu=cpu)
        return Remote(self, found["child"], argv[0].rpartition("/")[2])

    def take(self, child: int, timeout_s: float) -> Event:
        """The next line of a program there."""
        deadline = time.monotonic() + timeout_s
        while not self._said[child]:
            if child in self._ended:
                raise ChildError(f"{self.name}: {self._ended[child]}")
            if (left_s := deadline - time.monotonic()) <= 0:
                raise SilentError(f"{self.name}: said nothing for {timeout_s:g} s")
            self._pump(left_s)
        return self._said[child].popleft()

    def pump(self) -> None:
        """Read what is there."""
        self._pump(0.001)

    def _pump(self, timeout_s: float) -> None:
        """Read one message, or wait so long, but not beyond the end of a lease."""
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
                f"{self.machine.where}: the SSH connection is lost ({error}); it puts itself back"
                " within seconds; see that it is up, then start again"
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
            raise LostError(f"{self.machine.where}: its agent said what is no answer: {message}")

    def _silent(self, since_s: float) -> None:
        """It said nothing since then; nor before, where this is not the first time."""
        if self._silent_since_s is None:
            self._silent_since_s = since_s
        if self._awake and time.monotonic() - self._silent_since_s >= LEASE_S:
            raise LostError(
                f"{self.machine.where}: no sign of life for {LEASE_S:.0f} s: it hangs, or its"
                " network does; see to it, then start again"
            )


def _cure(error: ChildError) -> str:
    """Of an agent that could not start: what is known about it."""
    if not isinstance(error, GarbledError):
        return ""
    return (
        "; `ssh HOST true` must print nothing: take out of its shell's start-up files (.bashrc)"
        " what prints without a terminal"
    )


class Remote:
    """A program on another machine; as far as a trial sees it, as process.Child."""

    def __init__(self, station: Station, child: int, program: str) -> None:
        self.station = station
        self.child = child
        self.name = f"{program} on {station.name}"

    def event(self, timeout_s: float) -> Event:
        return self.station.take(self.child, timeout_s)

    def stop(self) -> None:
        with contextlib.suppress(NearmetalError):  # it went with its machine
            self.station.ask("stop", child=self.child)

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def beating(stations: Sequence[Station]) -> Iterator[None]:
    """Give signs of life, whatever the controller does."""
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
