"""This machine itself: tuned for a run or permanently, and restored after an end, Ctrl-C and kill
-9.

The settings are safe on every machine that runs the tests: two huge pages, and the receive steering
and offloads of a link made for the test.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pyroute2 import IPRoute

import tool
from nearmetal.machine import journal
from nearmetal.machine.devices import ethtool
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes import owner
from nearmetal.machine.tune import apply
from tool import Started

SPEC = """
name = "tuned"
window = 4
rounds = 1
warmup_s = 0.1
measured_s = {seconds}
rungs = ["host-py:echo"]
[workload]
keys = 100
flows = 1
[machine]
governor = "performance"
hugepages_2mib = 2
"""
ASKED = 2  # huge pages

pytestmark = [
    pytest.mark.skipif(
        not os.access(hugepages.pool_file(), os.W_OK),
        reason="needs root, and a kernel with 2 MiB pages",
    ),
    pytest.mark.timeout(tool.RUN_S),
]


def claims() -> list[Path]:
    return list((owner.state_directory() / "hugepages").glob("*-*"))


def pages() -> int:
    """Return the pages in the pool, without those that other runs have claimed meanwhile."""
    pool = hugepages.pool()
    assert pool is not None
    return pool.total - sum(map(hugepages_claimed, claims()))


def hugepages_claimed(claim: Path) -> int:
    """Return the pages of a claim; 0 if it was given up meanwhile."""
    with suppress(FileNotFoundError):
        return int(claim.read_text().split()[1])
    return 0


def bench(folder: Path, seconds: float) -> Started:
    """Start a run that requests two pages."""
    spec = folder / "tuned.toml"
    spec.write_text(SPEC.format(seconds=seconds))
    return tool.start(*tool.of_bench(spec, folder / "run"), joined=True)


def claimed_by(child: Started) -> None:
    """Wait until the run has tuned the machine."""
    tool.wait_beside(child, lambda: claims_of(child), "a claim on pages")


def claims_of(child: Started) -> list[Path]:
    return [path for path in claims() if path.name.startswith(f"{child.pid}:")]


def put_back(before: int) -> None:
    """Check that the pool is restored; skip if it differs by another number than we requested."""
    deadline = time.monotonic() + tool.GONE_S
    while (more := pages() - before) and time.monotonic() < deadline:
        time.sleep(0.1)
    if more not in (0, ASKED, -ASKED):
        pytest.skip(f"another program changed the pool of huge pages by {more} meanwhile")
    assert more == 0, f"{more} pages more than before"


def test_a_run_says_what_it_set(tmp_path: Path) -> None:
    before = pages()
    child = bench(tmp_path, 0.3)
    said, _ = child.communicate(timeout=tool.LONG_S)
    tool.skip_where_busy(said)
    assert child.returncode == 0, said
    put_back(before)
    topology = json.loads((tmp_path / "run/topology.json").read_text())
    applied = {each["name"]: each for each in topology["machine"]}
    pool = applied["hugepages_2mib"]
    assert not pool["reason"]
    assert int(pool["after"].split(",")[0]) == int(pool["before"].split(",")[0]) + 2
    governor = applied["governor"]
    assert governor["after"] == "performance" or governor["reason"]
    assert f"governor: {'not set' if governor['before'] is None else ''}" in said
    assert "Machine set" in (tmp_path / "run/report.html").read_text()


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGHUP, signal.SIGKILL],
    ids=["interrupt", "hang up", "kill"],
)
def test_as_before_after(tmp_path: Path, number: signal.Signals) -> None:
    before = pages()
    child = bench(tmp_path, 60)
    claimed_by(child)
    child.send_signal(number)
    child.communicate(timeout=tool.LONG_S)
    if number == signal.SIGKILL:
        # Any command that changes the pool meanwhile, of another test too, gives them back first.
        tool.succeeds("clean")
    else:
        assert child.returncode == 128 + number
    assert not claims_of(child)
    put_back(before)


@pytest.fixture
def link() -> Iterator[str]:
    """A veth made for the test."""
    name, peer = owner.label("tune"), {"ifname": owner.label("peer")}
    with journal.open_journal().link(name) as index, IPRoute() as route:
        route.link("add", ifname=name, kind="veth", index=index, peer=peer)
        yield name


def test_what_is_applied_stays_until_restore(link: str) -> None:
    folder = apply.kept_folder(owner.state_directory())
    if journal.kept(folder):
        pytest.skip("this machine is tuned already: nearmetal tune restore")
    before, rps = pages(), Path(f"/sys/class/net/{link}/queues/rx-0/rps_cpus")
    steering, gro = rps.read_text(), ethtool.has(link, "gro")
    rps.write_text("1")
    words = [f"interface={link}", "rps=off", "hugepages_2mib=2"]
    words += [f"offloads.gro={'off' if gro else 'on'}", "offloads.tso=off"]
    try:
        said = tool.succeeds("tune", "apply", *words)
        assert f"rps: {link}: cores 0 -> {link}: off" in said
        tool.succeeds("clean")
        assert rps.read_text() == steering
        assert ethtool.has(link, "gro") != gro and not ethtool.has(link, "tso")
        assert "tuned-0" in {path.name for path in claims()}
        assert "`tune restore` undoes them" in tool.succeeds("tune", "show", "--interface", link)
    finally:
        said = tool.succeeds("tune", "restore")
    assert f"put back: value {rps}" in said and "put back: offload gro" in said
    assert int(rps.read_text().replace(",", ""), 16) == 1
    assert ethtool.has(link, "gro") == gro and ethtool.has(link, "tso")
    assert not journal.kept(folder)
    put_back(before)


def test_the_line_for_this_machine() -> None:
    said = tool.succeeds("tune", "--boot")
    assert said == tool.succeeds("tune", "boot")
    assert "Nothing was changed" in said
