"""Trying a service's file in CPython: what its requests and cases say must come true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearmetal.errors import BadInputError
from nearmetal.service.ask import Ask
from nearmetal.service.expected import FIRST, Expected, asks, expected
from nearmetal.service.load import Loaded
from nearmetal.service.runner import Outcome, Runner
from nearmetal.service.watch import Watch


@dataclass(frozen=True, slots=True)
class Tried:
    """Counts of what was tried; `load` is None where the service has no id, and so no load."""

    name: str
    requests: int
    tests: int  # requests that said which reply or drop they must get
    load: Expected | None

    def __str__(self) -> str:
        line = f"{self.name}: {self.requests} requests asked, {self.tests} of them tests: all right"
        if self.load is None:
            return f"{line}; no load, as it has no id"
        free = f"{self.load.unchecked_bytes:.3g} bytes of a reply are unchecked"
        return f"{line}; the load has {len(self.load.mix)} requests, {free}"


def tried(loaded: Loaded) -> Tried:
    """Ask all requests of the file. BadInputError: an outcome is another one than it says.

    Those of cases are asked after those of before, of a state without those of requests.
    """
    lists = {name: asks(loaded, name) for name in ("before", "requests", "cases")}
    for name in ("requests", "cases"):
        runner = Runner(loaded, FIRST.seed)
        with Watch(runner, loaded.finder):
            _ask(loaded, runner, "before", lists["before"])
            _ask(loaded, runner, name, lists[name])
    all_ = [ask for each in lists.values() for ask in each]
    tests = [ask for ask in all_ if ask.reply is not None or ask.drop is not None]
    load = None if loaded.service.id is None else expected(loaded)
    return Tried(loaded.service.name, len(all_), len(tests), load)


def _ask(loaded: Loaded, runner: Runner, name: str, each: Sequence[Ask]) -> None:
    for number, ask in enumerate(each):
        outcome = runner.answer(ask.request, FIRST.source, FIRST.now_ns)
        wrong = _wrong(ask, outcome)
        if wrong is not None:
            faults = "".join(f"; {fault}" for fault in runner.faults.values())
            raise BadInputError(f"{loaded.path}: {name}, request {number}: {wrong}{faults}")


def _wrong(ask: Ask, outcome: Outcome) -> str | None:
    if ask.drop is not None and outcome.drop != ask.drop:
        return f"it is {outcome.drop}, not {ask.drop}"
    if ask.reply is None:
        return None
    if outcome.drop != "answered":
        return f"it is {outcome.drop}, not answered"
    right, got = bytearray(ask.reply), bytearray(outcome.reply)
    for begin, end in ask.unchecked:
        for one in (right, got):
            one[begin:end] = bytes(len(one[begin:end]))
    return None if right == got else f"got {bytes(outcome.reply)!r:.80}, not {ask.reply!r:.80}"
