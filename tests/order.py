"""Which tests go together, and in which order: a plugin of conftest.py.

Tests run side by side in worker processes (pytest-xdist). A group stays in one worker, in order:
all that want the machine for themselves are one group, all that ask one started server another.
The full edition begins with the tests that have not run for longest, so that several runs, each
ended by --ends-at, reach all of them. A test that is the same in both editions (it does not ask for
`is_long`) has run with either.
"""

from __future__ import annotations

import re
import time

import pytest

# Files whose tests run one at a time, though they are many: what measures, kills, or looks what is
# left on the machine; and what polls with a server and a generator, and takes two cores.
MACHINE = re.compile(r"tests/smoke/(?!test_(handed|serve|supervised|uk|ukp)\.py)")
POLLS = re.compile(r"tests/wire/test_(ethdev|faults|liar|load|null_vhost|null_xdp|soak)\.py")
LONGEST = ("machine", "polls")
RUNS = "nearmetal/ran-at"  # in pytest's cache: test -> seconds since 1970
SAME = "same in both editions"  # a property of a test
OVER = "the time given was over; the next run of this edition begins with what was left"


def key_of(location: tuple[str, int | None, str]) -> str:
    """What a test is called, whatever worker ran it."""
    file, _, name = location
    return f"{file}::{name}"


def group_of(item: pytest.Item) -> str:
    """Tests of one group run one after another, in one process. A test may name its own."""
    if (named := item.get_closest_marker("xdist_group")) is not None:
        return str(named.args[0])
    file, _, _ = item.location
    for name, files in zip(LONGEST, (MACHINE, POLLS), strict=True):
        if files.match(file):
            return name
    marker = item.get_closest_marker("rung")
    return file if marker is None else f"{file} {marker.args[0]}"


def unit_of(item: pytest.Item) -> str:
    """What is put in order as one: a file of those groups, else the group."""
    group = group_of(item)
    return group if group.startswith("tests/") else item.location[0]


def together(items: list[pytest.Item]) -> None:
    """A group where its first test stands, also where one process runs all; but the two longest,
    which one worker runs alone, begin: else the other worker waits for them at the end."""
    first: dict[str, int] = {}
    for number, item in enumerate(items):
        first.setdefault(group_of(item), number)
    first |= {name: place for place, name in enumerate(LONGEST, -len(LONGEST)) if name in first}
    items.sort(key=lambda item: first[group_of(item)])


def longest_not_run_first(items: list[pytest.Item], ran_at: dict[str, float]) -> None:
    """A unit is as old as its oldest test; equals keep their order."""
    oldest: dict[str, float] = {}
    for item in items:
        when, unit = ran_at.get(key_of(item.location), 0.0), unit_of(item)
        oldest[unit] = min(when, oldest.get(unit, when))
    items.sort(key=lambda item: oldest[unit_of(item)])


class Order:
    """Groups tests, keeps when each ran, and orders those of the full edition."""

    def __init__(self, config: pytest.Config, *, full: bool, ends_at: float | None) -> None:
        # Known also where tests run without pytest-xdist.
        config.addinivalue_line("markers", "xdist_group(name): stay in one worker")
        self._cache = config.cache
        self._is_worker = hasattr(config, "workerinput")
        self._full = full
        self._ends_at = ends_at
        self._ran: dict[str, float] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        assert isinstance(item, pytest.Function)
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
        item.user_properties.append((SAME, "is_long" not in item.fixturenames))

    @pytest.hookimpl(trylast=True)  # pytest's own order, by what tests share, comes before
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
