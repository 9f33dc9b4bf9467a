"""Which tests stay together, and in which order: a plugin of conftest.py.

Tests run in parallel in worker processes (pytest-xdist). A group stays in one worker, in order: all
tests that need the machine for themselves are one group, all that use one started server another.
The full edition begins with the tests that have not run for longest, so that several runs, each
ended by --ends-at, reach all of them. A test that is the same in both editions (it does not use
`is_long`) counts as run with either.
"""

from __future__ import annotations

import re
import time

import pytest

# Files whose tests run one at a time, although they are many: tests that measure, kill, or check
# what is left on the machine; and tests with a polling server and a generator, which use two cores.
MACHINE = re.compile(r"tests/smoke/(?!test_(handed|serve|supervised|uk|ukp)\.py)")
POLLS = re.compile(r"tests/wire/test_(ethdev|faults|liar|load|null_vhost|null_xdp|replay|soak)\.py")
LONGEST = ("machine", "polls")
RUNS = "nearmetal/ran-at"  # in pytest's cache: test -> seconds since 1970
SAME = "same in both editions"  # a property of a test
OVER = "the time limit (--ends-at) has passed; the next run of this edition begins with these tests"


def key_of(location: tuple[str, int | None, str]) -> str:
    """Return the name of a test, the same for every worker."""
    file, _, name = location
    return f"{file}::{name}"


def group_of(item: pytest.Item) -> str:
    """Return the group of a test; its tests run in order in one process. A marker may name it."""
    if (named := item.get_closest_marker("xdist_group")) is not None:
        return str(named.args[0])
    file, _, _ = item.location
    for name, files in zip(LONGEST, (MACHINE, POLLS), strict=True):
        if files.match(file):
            return name
    marker = item.get_closest_marker("rung")
    return file if marker is None else f"{file} {marker.args[0]}"


def unit_of(item: pytest.Item) -> str:
    """Return the unit of sorting: the file for tests of the groups above, else the group."""
    group = group_of(item)
    return group if group.startswith("tests/") else item.location[0]


def together(items: list[pytest.Item]) -> None:
    """Move the tests of a group to its first test, also in a single process. The two longest groups
    come first: one worker runs each alone, and at the end the other worker would wait."""
    first: dict[str, int] = {}
    for number, item in enumerate(items):
        first.setdefault(group_of(item), number)
    first |= {name: place for place, name in enumerate(LONGEST, -len(LONGEST)) if name in first}
    items.sort(key=lambda item: first[group_of(item)])


def longest_not_run_first(items: list[pytest.Item], ran_at: dict[str, float]) -> None:
    """Sort units by their test that has not run for longest; equals keep their order."""
    oldest: dict[str, float] = {}
    for item in items:
        when, unit = ran_at.get(key_of(item.location), 0.0), unit_of(item)
        oldest[unit] = min(when, oldest.get(unit, when))
    items.sort(key=lambda item: oldest[unit_of(item)])


class Order:
    """Groups tests, records when each ran, and orders those of the full edition."""

    def __init__(self, config: pytest.Config, *, full: bool, ends_at: float | None) -> None:
        # The marker must exist without pytest-xdist, too.
        config.addinivalue_line("markers", "xdist_group(name): stay in one worker")
        self._cache = getattr(config, "cache", None)  # -p no:cacheprovider
        self._is_worker = hasattr(config, "workerinput")
        self._full = full
        self._ends_at = ends_at
        self._ran: dict[str, float] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        assert isinstance(item, pytest.Function)
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
        item.user_properties.append((SAME, "is_long" not in item.fixturenames))

    @pytest.hookimpl(trylast=True)  # after pytest's own order by shared fixtures
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        together(items)
        if self._full and self._cache is not None:
            longest_not_run_first(items, self._cache.get(RUNS, {}))

    def pytest_runtest_setup(self) -> None:
        if self._ends_at is not None and time.time() > self._ends_at:
            pytest.skip(OVER)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not (self._full or dict(report.user_properties).get(SAME)):
            return
        skipped = report.skipped and OVER not in str(report.longrepr)
        if report.when == "call" or (report.when == "setup" and skipped):
            self._ran[key_of(report.location)] = time.time()

    def pytest_sessionfinish(self) -> None:
        if not self._is_worker and self._cache is not None:
            self._cache.set(RUNS, {**self._cache.get(RUNS, {}), **self._ran})
