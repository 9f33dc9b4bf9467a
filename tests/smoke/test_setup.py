"""The README's two commands as a new user's first, on machines with nothing installed.

As root, with `bench` first, and as a user with sudo, with `test` first; then both again without a
network, which a finished set-up does not need. The spec has a rung of each kind that set-up knows;
other tests check the measurements.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from bare import SUITES, Machine, Suite, machine, stop, was_refused, why_not

from nearmetal.errors import CannotRunError

LIMIT_S = 1800  # for both commands on all machines of a suite; making one takes half of it
pytestmark = pytest.mark.timeout(3 * LIMIT_S)
# Seconds, not less: other machines work on the same cores at the same time.
SPEC = """
name = "setup"
window = 16
rounds = 1
warmup_s = 0.5
measured_s = 2.0
rungs = [
  "memcached",
  { rung = "host-mmsg", services = ["kv"] },
  { rung = "host-dpdk", services = ["kv"] },
  { rung = "uk-netdev", services = ["kv"] },
]

[workload]
name = "small"
keys = 1_000
flows = 4
"""
BENCH = "./nearmetal bench --yes --spec ~/setup.toml"
TEST = "./nearmetal test --yes -k 'test_corpus and host-mmsg'"
FIRST = {"root": (BENCH, TEST), "person": (TEST, BENCH)}
SETS_UP = re.compile(r"nearmetal: (?:reading|installing|fetching|set up)")


@pytest.fixture(autouse=True)
def in_the_full_run(is_long: bool) -> None:
    if not is_long:
        pytest.skip("only with --full: bare machines are made and set up")
    if (reason := why_not()) is not None:
        pytest.skip(reason)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_the_first_commands_work(suite: Suite, tmp_path: Path) -> None:
    with ExitStack() as stack:
        try:
            machines = [stack.enter_context(machine(suite, person)) for person in FIRST]
            for each in machines:
                each.home_here.joinpath("setup.toml").write_text(SPEC, encoding="utf-8")
        except CannotRunError as error:
            pytest.skip(str(error))
        for said in run(machines, tmp_path, network=True):
            assert SETS_UP.search(said), "there was nothing to set up"
            assert "going on without" not in said and "are skipped" not in said, said
        for said in run(machines, tmp_path, network=False):
            assert not SETS_UP.search(said), said


def run(machines: list[Machine], folder: Path, *, network: bool) -> list[str]:
    """Run both commands on each machine, all machines at once; return their output."""
    logs = [folder / f"{each.person}-{'first' if network else 'second'}.log" for each in machines]
    with ExitStack() as stack:
        running = []
        for each, log in zip(machines, logs, strict=True):
            said = stack.enter_context(log.open("wb"))
            running.append(each.start(" && ".join(FIRST[each.person]), said, network=network))
            stack.callback(stop, running[-1])
        statuses = [each.wait(LIMIT_S) for each in running]
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    for status, text in zip(statuses, texts, strict=True):
        if was_refused(status):
            pytest.skip(f"no such machine can be made here: {text.strip().splitlines()[-1]}")
        assert status == 0, text
    return texts
