"""This very machine: set for a run or to stay, and as before after its end, Ctrl-C and kill -9.

What is set is what every machine that runs the tests may lend: two huge pages, and the receive
steering and offloads of a link made for the test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from nearmetal.lab import ethtool, hugepages, journal, owner
from nearmetal.lab.lock import machine_lock
from nearmetal.tune import apply

LONG_S = 300.0
COMMAND = [sys.executable, "-m", "nearmetal"]
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

pytestmark = pytest.mark.skipif(
    not os.access(hugepages.pool_file(), os.W_OK),
    reason="needs root, and a kernel with 2 MiB pages",
)


def claims() -> list[Path]:
    return list((owner.state_directory() / "hugepages").glob("*-*"))


def pages() -> int:
    """In the pool, without those that others of us have claimed meanwhile."""
    pool = hugepages.pool()
    assert pool is not None
    return pool.total - sum(int(path.read_text().split()[1]) for path in claims())


def bench(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """Start a run that asks for two pages."""
    spec = folder / "tuned.toml"
    spec.write_text(SPEC.format(seconds=seconds))
    words = ["bench", "--spec", str(spec), "--out", str(folder / "run"), "--yes"]
    free_machine()
    return subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def free_machine() -> None:
    """Wait until no other run has it."""
    deadline = time.monotonic() + LONG_S
    while time.monotonic() < deadline:
        try:
            with machine_lock():
                return
        except journal.NearmetalError:
            time.sleep(0.5)
    pytest.skip("another run has this machine")


def claimed_by(child: subprocess.Popen[str]) -> None:
    """Wait until it has set the machine."""
    deadline = time.monotonic() + LONG_S
    while not any(path.name.startswith(f"{child.pid}:") for path in claims()):
        assert child.poll() is None, child.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def nearmetal(*words: str) -> str:
    done = subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, check=False, timeout=LONG_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_run_says_what_it_set(tmp_path: Path) -> None:
    before = pages()
    child = bench(tmp_path, 0.3)
    said, _ = child.communicate(timeout=LONG_S)
    assert child.returncode == 0, said
    assert pages() == before
    topology = json.loads((tmp_path / "run/topology.json").read_text())
    applied = {each["name"]: each for each in topology["machine"]}
    pool = applied["hugepages_2mib"]
    assert not pool["reason"]
    assert int(pool["after"].split(",")[0]) == int(pool["before"].split(",")[0]) + 2
    governor = applied["governor"]
    assert governor["after"] == "performance" or governor["reason"]
    assert f"governor: {'not set' if governor['before'] is None else ''}" in said
    assert "Machine set" in (tmp_path / "run/report.html").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupt", "kill"])
def test_as_before_after(tmp_path: Path, number: signal.Signals) -> None:
    before = pages()
    child = bench(tmp_path, 60)
    claimed_by(child)
    child.send_signal(number)
    child.communicate(timeout=LONG_S)
    if number == signal.SIGKILL:
        assert any(path.name.startswith(f"{child.pid}:") for path in claims())
        assert "pages" in nearmetal("clean")
    else:
        assert child.returncode == 130
    assert not any(path.name.startswith(f"{child.pid}:") for path in claims())
    assert pages() == before


@pytest.fixture
def link() -> Iterator[str]:
    """A veth of this test's own."""
    name = f"nm-{os.getpid()}-tune"
    with journal.open_journal().holds("link", name), IPRoute() as route:
        route.link("add", ifname=name, kind="veth", peer={"ifname": f"nm-{os.getpid()}-peer"})
        yield name


def test_what_is_applied_stays_until_restore(link: str) -> None:
    folder = apply.kept_folder(owner.state_directory())
    if journal.kept(folder):
        pytest.skip("this machine is tuned already: nearmetal tune restore")
    before, rps = pages(), Path(f"/sys/class/net/{link}/queues/rx-0/rps_cpus")
    steering, gro = rps.read_text(), ethtool.has(link, "gro")
    rps.write_text("1")
    free_machine()
    words = [f"interface={link}", "rps=off", "hugepages_2mib=2"]
    words += [f"offloads.gro={'off' if gro else 'on'}", "offloads.tso=off"]
    try:
        said = nearmetal("tune", "apply", *words)
        assert f"rps: {link}: cores 0 -> {link}: off" in said
        nearmetal("clean")
        assert rps.read_text() == steering
        assert ethtool.has(link, "gro") != gro and not ethtool.has(link, "tso")
        assert "tuned-0" in {path.name for path in claims()}
        assert "`tune restore` puts them back" in nearmetal("tune", "show", "--interface", link)
    finally:
        said = nearmetal("tune", "restore")
    assert f"put back: value {rps}" in said and "put back: offload gro" in said
    assert int(rps.read_text().replace(",", ""), 16) == 1
    assert ethtool.has(link, "gro") == gro and ethtool.has(link, "tso")
    assert pages() == before and not journal.kept(folder)


def test_the_line_for_this_machine() -> None:
    said = nearmetal("tune", "--boot")
    assert said == nearmetal("tune", "boot")
    assert "Nothing was changed" in said
