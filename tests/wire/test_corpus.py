"""One corpus on every rung: the same questions must have the same answers, byte for byte."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from targets import ALL, AS_INSTALLED, OPEN, OURS, TOO_LONG, Target, Tools, fits, open_target

from nearmetal.kv.corpus import CASES, GUARDED, Case, Guard, check_case

EXCEPTIONS = {
    case: exception["what"]
    for exception in tomllib.loads(
        (Path(__file__).parent / "exceptions.toml").read_text(encoding="utf-8")
    )["exception"]
    for case in exception["cases"]
}
Programs = Callable[[str], Path]
ThirdParty = Callable[[str], list[str]]


@dataclass
class Asked:
    """A running target, and the expected counts of the requests sent to it."""

    rung: str
    target: Target
    drops: Counter[str] = field(default_factory=Counter)
    cases: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def ask(self, case: Case) -> None:
        self.cases.add(case.name)
        self.failed.add(case.name)
        check_case(self.target, case, numbered=self.rung != "memcached")
        self.failed.remove(case.name)
        self.drops.update(step.drop for step in case.steps)
        self.drops["answered"] += 1  # the flush_all before each


Opened = Callable[[str, Guard], Asked]


@pytest.fixture(scope="module")
def opened(programs: Programs, third_party: ThirdParty) -> Iterator[Opened]:
    """Return a function that gives the target of a rung and its admission lists, started once. Only
    the targets of one rung run at a time: some poll, and would take cores from the next."""
    up: list[tuple[Guard, Asked]] = []
    failed: dict[tuple[str, Guard], str] = {}

    def close() -> None:
        while up:
            up.pop()[1].target.close()

    def find(rung: str, guard: Guard) -> Asked:
        if any(asked.rung != rung for _, asked in up):
            close()
        for there, asked in up:
            if there == guard:
                return asked
        if (rung, guard) in failed:
            pytest.fail(f"the target did not start: {failed[rung, guard]}")
        try:
            target = open_target(rung, Tools(programs, third_party), guard)
        except Exception as error:
            failed[rung, guard] = repr(error)
            raise
        up.append((guard, Asked(rung, target)))
        return up[-1][1]

    yield find
    close()


def _each(rungs: tuple[str, ...], cases: tuple[Case, ...]) -> list[object]:
    return [
        pytest.param(case, rung, id=f"{case.name} {rung}", marks=pytest.mark.rung(rung))
        for rung in rungs
        for case in cases
    ]


def _rungs(rungs: tuple[str, ...]) -> list[object]:
    return [pytest.param(rung, id=rung, marks=pytest.mark.rung(rung)) for rung in rungs]


@pytest.mark.parametrize(("case", "rung"), _each(ALL, CASES))
def test_case(case: Case, rung: str, opened: Opened) -> None:
    if rung == "memcached" and case.name in EXCEPTIONS:
        pytest.skip(f"exception: {EXCEPTIONS[case.name]}")
    if not fits(rung, case.most_bytes):
        pytest.skip(TOO_LONG)
    started = AS_INSTALLED if (case.name, rung) == ("stats", "memcached") else rung
    opened(started, GUARDED if case.guarded else OPEN).ask(case)


@pytest.mark.parametrize("rung", _rungs(OURS))
def test_requests_are_conserved(rung: str, opened: Opened) -> None:
    """Each request is counted once, under the reason that its case names. The counts include the
    cases above; cases that have not run are sent now."""
    for guard in (OPEN, GUARDED):
        asked = opened(rung, guard)
        for case in CASES:
            here = case.guarded == (guard == GUARDED) and fits(rung, case.most_bytes)
            if here and case.name not in asked.cases:
                asked.ask(case)
        assert not asked.failed, "these cases failed, so their counts are unknown"
        assert +asked.target.drops() == asked.drops


def test_exceptions_name_cases() -> None:
    assert set(EXCEPTIONS) <= {case.name for case in CASES}
