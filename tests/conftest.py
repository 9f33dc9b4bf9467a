"""Shared by all tests: the built programs, the full edition, and a closing line per rung.

NEARMETAL_BUILD names a build folder to test; without it the tool's own build is made and tested.
NEARMETAL_TEST_LONG=1, or --full, runs the full edition.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

import tool
from nearmetal.build import fetched as files
from nearmetal.build import programs as build
from nearmetal.errors import NearmetalError
from nearmetal.machine.processes import lock
from nearmetal.paths import build_dir
from order import Order

ORACLE = "1.6.18"  # the release of memcached that answers are compared with
MACHINE_S = 120  # a test's longest wait for another run to end
FULL_EDITION_S = 1200  # time-out of a test of the full edition without a time-out of its own


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", "--long", action="store_true", help="run the full edition")
    parser.addoption("--ends-at", type=float, help="start no test after this time (epoch)")


def pytest_configure(config: pytest.Config) -> None:
    # A shell makes background jobs ignore these signals, and programs inherit that from the tests.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    # Programs must buffer their output as they do for a user.
    os.environ.pop("PYTHONUNBUFFERED", None)
    # One run at a time may use the machine: commands that tests start wait for it.
    os.environ.setdefault(lock.WAIT, str(MACHINE_S))
    config.addinivalue_line("markers", "rung(name): counted under this rung in the closing lines")
    ends_at = config.getoption("--ends-at")
    config.pluginmanager.register(Order(config, full=_is_full(config), ends_at=ends_at))


def _is_full(config: pytest.Config) -> bool:
    return bool(config.getoption("--full")) or os.environ.get("NEARMETAL_TEST_LONG") == "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _is_full(config):  # so that the test's own marker wins
            item.add_marker(pytest.mark.timeout(FULL_EDITION_S), append=False)
        marker = item.get_closest_marker("rung")
        if marker is not None:
            item.user_properties.append(("rung", marker.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print passed and skipped tests per rung, and the reason of every skip."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    seeds: dict[str, list[int]] = defaultdict(list)
    for outcome in ("passed", "failed", "skipped", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            rung = dict(getattr(report, "user_properties", ())).get("rung")
            if rung is None:
                continue
            counts[rung][outcome] += 1
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                reasons[rung][report.longrepr[2].removeprefix("Skipped: ")] += 1
            seed = dict(report.user_properties).get("seed")
            if seed is not None:
                seeds[rung].append(seed)
    if counts:
        terminalreporter.section("rungs")
    for rung, count in counts.items():
        count["failed"] += count.pop("error", 0)
        told = (f"{count[outcome]:>5} {outcome}" for outcome in ("passed", "failed", "skipped"))
        line = f"{rung:<14}{''.join(told)}"
        terminalreporter.write_line(line + "".join(f"  seed {seed}" for seed in seeds[rung]))
        for reason, number in reasons[rung].most_common():
            terminalreporter.write_line(f"{'':<14} {number:>5} x {reason}")


@pytest.fixture(scope="session")
def is_long(pytestconfig: pytest.Config) -> bool:
    """Whether the full edition runs."""
    return _is_full(pytestconfig)


@pytest.fixture
def only_full(is_long: bool) -> None:
    """Skip a long test whose subject other tests cover in the ordinary edition."""
    if not is_long:
        pytest.skip("only with --full: it takes long")


@pytest.fixture(scope="session")
def programs() -> Callable[[str], Path]:
    """Return a function from the name of a native program or library to its path."""
    given = os.environ.get("NEARMETAL_BUILD")
    if given is None:
        try:
            with tool.untimed():
                build.build()
        except NearmetalError as error:
            pytest.fail(f"the programs do not build: {error}")
    folder = build_dir("normal") if given is None else Path(given)

    def find(name: str) -> Path:
        found = [path for path in folder.rglob(name) if path.is_file()]
        assert found, f"{name} is not in the build folder {folder}"
        return found[0]

    return find


@pytest.fixture(scope="session")
def third_party() -> Callable[[str], list[str]]:
    """Return a function from memcached or memcaslap to its command; skips if it is missing."""

    def find(name: str) -> list[str]:
        command = _third_party_command(name)
        if name == "memcached":
            _skip_other_oracle(command)
        return command

    return find


def _third_party_command(name: str) -> list[str]:
    given = os.environ.get(f"NEARMETAL_{name.upper()}")
    path = given or shutil.which(name)
    if path is not None:
        return [path]
    try:
        fetched, library_path = files.provide(name)
    except NearmetalError as error:
        pytest.skip(f"{name} is not available here: {error}")
    env = ["env", f"LD_LIBRARY_PATH={library_path}"] if library_path else []
    return [*env, str(fetched)]


def _skip_other_oracle(memcached: list[str]) -> None:
    """Skip other releases: their answers may differ from the compared one."""
    said = subprocess.run([*memcached, "-V"], capture_output=True, text=True, check=False).stdout
    if said.split() != ["memcached", ORACLE]:
        pytest.skip(f"compared with memcached {ORACLE} only; found: {said.strip() or 'none'}")
