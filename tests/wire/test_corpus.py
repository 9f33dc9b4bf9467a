"""One corpus, every rung: the same questions, the same bytes."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from targets import ALL, AS_INSTALLED, OPEN, OURS, TOO_LONG, Target, Tools, fits, open_target

from nearmetal.corpus import CASES, GUARDED, Case, Guard, check_case

EXCEPTIONS = {
    case: exception["what"]
    for exception in tomllib.loads(
        (Path(__file__).parent / "exceptions.toml").read_text(encoding="utf-8")
    )["exception"]
    for case in exception["cases"]
}
Programs = Callable[[str], Path]
ThirdParty = Callable[[str], list[str]]
Opened = Callable[[str, Guard], Target]


@pytest.fixture(scope="module")
def opened(programs: Programs, third_party: ThirdParty) -> Iterator[Opened]:
    """From a rung and its admission lists to the target, started once."""
    targets: dict[tuple[str, Guard], Target] = {}

    def find(rung: str, guard: Guard) -> Target:
        if (rung, guard) not in targets:
            targets[rung, guard] = open_target(rung, Tools(programs, third_party), guard)
        return targets[rung, guard]

    yield find
    for target in targets.values():
        target.close()


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
    asked = AS_INSTALLED if (case.name, rung) == ("stats", "memcached") else rung
    target = opened(asked, GUARDED if case.guarded else OPEN)
    check_case(target, case, numbered=rung != "memcached")


@pytest.mark.parametrize("rung", _rungs(OURS))
def test_requests_are_conserved(rung: str, programs: Programs, third_party: ThirdParty) -> None:
    """Each request is counted once, under the reason that its case names."""
    for guard in (OPEN, GUARDED):
        target = open_target(rung, Tools(programs, third_party), guard)
        expected: Counter[str] = Counter()
        for case in CASES:
            if case.guarded == (guard == GUARDED) and fits(rung, case.most_bytes):
                check_case(target, case)
                expected.update(step.drop for step in case.steps)
                expected["answered"] += 1  # the flush_all before each
        assert +target.drops() == expected
        target.close()


def test_exceptions_name_cases() -> None:
    assert set(EXCEPTIONS) <= {case.name for case in CASES}
