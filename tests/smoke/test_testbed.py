"""The rehearsal: machines of namespaces, reached by SSH; and what is left when somebody goes.

The whole remote path runs: EnOSlib, deployment, agents, SSH. What cannot be had here is skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from pyroute2 import IPRoute

from nearmetal import build
from nearmetal.lab import owner
from nearmetal.lab.journal import open_journal
from nearmetal.paths import cache_dir, source_root
from nearmetal.setup import files
from nearmetal.testbed import enos, rig
from nearmetal.testbed.lease import LEASE_S
from nearmetal.testbed.spec import Seat

Ended = subprocess.CompletedProcess[str]
REHEARSE = [sys.executable, "-m", "nearmetal", "testbed", "rehearse", "--yes"]
START_S = 120.0
LONG_S = 900.0
SLACK_S = 6.0  # from the end of a lease until all has been put back
OURS = ("nm-load", "nm-sock", "nm-null", "/nearmetal agent", "-m nearmetal agent", "worker.py")
LONG = """
name = "long"
window = 16
rounds = 2
warmup_s = 0.1
measured_s = {seconds}
rungs = ["host-sock:echo"]

[workload]
name = "smoke"
keys = 1_000
flows = 4
"""


def why_not() -> str | None:
    if os.geteuid() != 0:
        return "needs root: network namespaces"
    if shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return "there is no ssh here"
    return enos.why_not() or files.why_not("sshd") or build.why_not("nm-sock-kv")


pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def links() -> Iterator[Callable[[], set[str]]]:
    """This machine's links; at the end they must be those of the beginning."""

    def look() -> set[str]:
        with IPRoute() as route:
            return {link.get("ifname") for link in route.get_links()}

    before = look()
    yield look
    assert until(lambda: look() <= before, SLACK_S), look() - before


def rehearse(out: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*REHEARSE, "--out", str(out), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_on(machines: Path, *words: str, env: Mapping[str, str] | None = None) -> Ended:
    """The experiment on machines that stand; its folder is beside their file."""
    run = [*REHEARSE[:4], "run", str(machines), "--yes", "--out", str(machines.with_name("out"))]
    return subprocess.run(
        [*run, "--spec", "smoke", *words],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=LONG_S,
    )


def until(there: Callable[[], object], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not there():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def ours(family: str) -> list[str]:
    """Command lines of what was started on the machines of a rig, and of its parts."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if (any(name in words for name in OURS) and "/deployed/" in words) or family in words:
            found.append(words)
    return found


def generating() -> bool:
    return any("nm-load" in words and "--share" in words for words in ours("no family"))


def rows(out: Path) -> dict[tuple[str, str], dict[str, object]]:
    report = json.loads((out / "report.json").read_text())
    return {(row["rung"], row["service"]): row for row in report["rows"]}


def skip_where_busy(said: str) -> None:
    if "another run has this machine" in said:
        pytest.skip(said.splitlines()[-1])


def of_the_document(seats: dict[str, Seat]) -> str:
    """Its machines, with nothing but where SSH finds them put in."""
    text = (source_root() / "docs" / "testbed.md").read_text("utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (static,) = (block for block in blocks if "[provider]" not in block)
    for name, seat in (("server", seats["sut"]), ("client", seats["tg1"])):
        reached = f'host = "{seat.host}"\nport = {seat.port}\nkey = "{seat.key}"\n'
        reached += f"options = {json.dumps(seat.options)}\n"
        line = f'host = "{name}.example.org"\n'
        assert line in static
        static = static.replace(line, reached)
    return str(static)


@pytest.mark.usefixtures("links")
def test_the_machines_of_the_document_end_with_a_table(tmp_path: Path) -> None:
    machines = tmp_path / "machines.toml"
    with rig.standing(open_journal(), 1) as made:
        machines.write_text(of_the_document(made.spec.seats()))
        done = run_on(machines, "--rungs", "host-sock")
        assert done.returncode == 0, done.stderr
    for service in ("kv", "echo"):
        row = rows(tmp_path / "out")["host-sock", service]
        assert row["status"] == "ok", row["reason"]
        assert row["wire"] == "nic" and row["wrong"] == 0 and row["answered"]
        assert row["sent"] == row["answered"] + row["wrong"] + row["lost"]  # type: ignore[operator]
    told = json.loads((tmp_path / "out" / "testbed.json").read_text())
    assert set(told["machines"]) == {"sut", "tg1"}
    assert told["differences"] == []
    assert not ours(f"nm-{os.getpid()}-rig")


def test_a_machine_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    spec = tmp_path / "machines.toml"
    seat = 'host = "127.0.0.1"\nport = 1\nnic = "data"\naddress = "10.10.0.{}/24"\n'
    spec.write_text(f"[sut]\n{seat.format(1)}\n[[tg]]\n{seat.format(2)}")
    run = [*REHEARSE[:4], "run", str(spec), "--yes", "--out", str(tmp_path / "out")]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "sut" in last and "SSH" in last and "Traceback" not in done.stderr, done.stderr


@pytest.mark.usefixtures("links")
def test_one_generator_and_two_whose_counts_are_added_up(tmp_path: Path, is_long: bool) -> None:
    """--full: the whole of specs/rehearsal.toml, which has the rows behind the switch, too."""
    out = tmp_path / "out"
    few = () if is_long else ("--rungs", "host-mmsg:kv,host-dpdk:kv,uk-netdev:echo,limit-nic")
    child = rehearse(out, *few)
    said = child.communicate(timeout=LONG_S if is_long else START_S)[1]
    skip_where_busy(said)
    assert child.returncode == 0, said
    report = json.loads((out / "report.json").read_text())
    for row in report["rows"]:
        if row["status"] == "skipped":
            assert row["reason"]
            continue
        assert row["status"] == "ok" and row["wrong"] == 0, row["reason"]
        parts = row["generators"]
        wanted = ["tg1", "tg2"][: row["point"]["generators"]]
        assert [each["machine"] for each in parts] == wanted
        assert all(each["answered"] > 0 for each in parts)
        assert sum(each["answered"] for each in parts) == row["answered"]
        if build.why_not("nm-null-xdp") is None:
            assert row["generator_ceiling_per_s"], row["rung"]
    assert {row["point"]["generators"] for row in report["rows"]} == {1, 2}
    assert not ours(f"nm-{child.pid}-rig")


@pytest.mark.usefixtures("links")
def test_server_and_switch_take_the_nic_by_xdp_sockets(tmp_path: Path) -> None:
    if (reason := build.why_not("nm-dpdk-kv") or build.why_not("dpdk-testpmd")) is not None:
        pytest.skip(reason)
    out = tmp_path / "out"
    words = ("--spec", "smoke", "--rungs", "host-dpdk:kv,ukp-netdev:echo", "--take", "af_xdp")
    child = rehearse(out, "--generators", "1", *words)
    said = child.communicate(timeout=START_S)[1]
    skip_where_busy(said)
    assert child.returncode == 0, said
    for name, row in rows(out).items():
        assert row["status"] == "ok" and row["wrong"] == 0 and row["answered"], (name, row)
        assert "XDP sockets" in str(row["placement"]), row["placement"]


@pytest.mark.usefixtures("links")
def test_a_nic_that_is_no_card_is_not_for_dpdks_drivers(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--spec", "smoke", "--rungs", "host-sock:echo,host-dpdk:echo", "--take", "dpdk")
    child = rehearse(out, "--generators", "1", *words)
    said = child.communicate(timeout=START_S)[1]
    skip_where_busy(said)
    assert child.returncode == 1, said
    assert rows(out)["host-sock", "echo"]["status"] == "ok"  # its kernel has it
    row = rows(out)["host-dpdk", "echo"]
    assert row["status"] == "failed" and "no PCI device" in str(row["reason"])


def test_a_killed_controller_leaves_nothing_running(
    tmp_path: Path, links: Callable[[], set[str]]
) -> None:
    before = links()
    spec = tmp_path / "long.toml"
    spec.write_text(LONG.format(seconds=60))
    child = rehearse(tmp_path / "out", "--spec", str(spec))
    try:
        if not until(lambda: generating() or child.poll() is not None, START_S) or child.poll():
            said = child.communicate()[1]
            skip_where_busy(said)
            pytest.fail(said)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    family = f"nm-{child.pid}-rig"
    assert until(lambda: not ours(family), LEASE_S + SLACK_S), ours(family)
    assert until(lambda: links() <= before, SLACK_S)
    clean = [sys.executable, "-m", "nearmetal", "clean"]
    subprocess.run(clean, check=True, capture_output=True, timeout=60)
    assert not list(owner.state_directory().glob(f"{family}*"))


@pytest.mark.usefixtures("links")
def test_a_machine_that_differs_builds_for_itself(tmp_path: Path, is_long: bool) -> None:
    """Both: a generator's needs little, and the server's what its rows start."""
    if not is_long:
        pytest.skip("only with --full: it builds everything anew")
    machines, other = tmp_path / "machines.toml", tmp_path / "os-release"
    known = Path("/etc/os-release").read_text()
    other.write_text(re.sub(r"(?m)^VERSION_ID=.*$", 'VERSION_ID="99"', known))
    with rig.standing(open_journal(), 1) as made:
        machines.write_text(of_the_document(made.spec.seats()))
        for pid in made.pids.values():
            inside = ["nsenter", "-t", str(pid), "--mount", "mount", "--bind"]
            subprocess.run([*inside, str(other), "/etc/os-release"], check=True)
        done = run_on(machines, "--rungs", "host-sock,host-dpdk:kv,uk-netdev:echo,limit-nic")
    assert done.returncode == 0, done.stderr
    for name in ("sut", "tg1"):
        assert f"{name} builds for itself: it runs" in done.stderr, done.stderr
    for name, row in rows(tmp_path / "out").items():
        assert row["status"] == "ok" and row["wrong"] == 0, (name, row["reason"])
    assert not ours(f"nm-{os.getpid()}-rig")


@pytest.mark.usefixtures("links")
def test_a_full_disk_is_told_with_its_machine(tmp_path: Path) -> None:
    machines = tmp_path / "machines.toml"
    with rig.standing(open_journal(), 1) as made:
        machines.write_text(of_the_document(made.spec.seats()))
        deployed = cache_dir() / "deployed"
        deployed.mkdir(exist_ok=True)
        inside = ["nsenter", "-t", str(made.pids["tg1"]), "--mount"]
        small = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(deployed)]
        subprocess.run([*inside, *small], check=True)
        done = run_on(machines, "--rungs", "host-sock")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "tg1: its disk is full" in last and str(deployed) in last, done.stderr
    assert "Traceback" not in done.stderr
    assert not ours(f"nm-{os.getpid()}-rig")


def agent_of_the_second() -> psutil.Process:
    """The agent of the second generator, which asks."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if "nm-load" in words and "--share 2/2" in words and "/deployed/" in words:
                return next(p for p in process.parents() if "agent" in p.cmdline())
    raise AssertionError("no generator runs")


@pytest.mark.usefixtures("links")
def test_a_machine_that_hangs_ends_the_run_in_one_line(tmp_path: Path) -> None:
    spec, out = tmp_path / "long.toml", tmp_path / "out"
    one_round = LONG.format(seconds=300).replace("rounds = 2", "rounds = 1")
    spec.write_text(one_round + "[sweep]\ngenerators = [2]\n")
    child = rehearse(out, "--spec", str(spec))
    if not until(lambda: generating() or child.poll() is not None, START_S) or child.poll():
        child.kill()
        said = child.communicate()[1]
        skip_where_busy(said)
        pytest.fail(said)
    agent = agent_of_the_second()
    agent.send_signal(signal.SIGSTOP)
    try:  # long before its results would be asked for
        said = child.communicate(timeout=90)[1]
    finally:
        with contextlib.suppress(psutil.Error):
            agent.send_signal(signal.SIGCONT)
    assert child.returncode == 1, said
    last = said.splitlines()[-1]
    assert "tg2" in last and "no sign of life" in last and "Traceback" not in said, said
    report = json.loads((out / "report.json").read_text())
    assert report["partial"] is True and "tg2" in report["reason"]
    family = f"nm-{child.pid}-rig"
    assert until(lambda: not ours(family), LEASE_S + SLACK_S), ours(family)


@pytest.mark.usefixtures("links")
def test_a_generator_that_is_cut_off_ends_the_run_in_one_line(tmp_path: Path) -> None:
    spec, out = tmp_path / "long.toml", tmp_path / "out"
    spec.write_text(LONG.format(seconds=4))
    child = rehearse(out, "--spec", str(spec))
    if not until(lambda: (out / "samples.jsonl").exists() or child.poll() is not None, START_S):
        child.kill()
    if child.poll() is not None:
        said = child.communicate()[1]
        skip_where_busy(said)
        pytest.fail(said)
    with IPRoute() as route:  # the first trial is over, the second runs
        route.link("set", index=route.link_lookup(ifname=f"nm-{child.pid}-tg1")[0], state="down")
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 1, said
    last = said.splitlines()[-1]
    assert "tg1" in last and "SSH" in last and "Traceback" not in said, said
    report = json.loads((out / "report.json").read_text())
    assert report["partial"] is True and report["reason"]
    assert rows(out)["host-sock", "echo"]["rounds"] == 1  # the finished trial is kept
    family = f"nm-{child.pid}-rig"  # what was cut off does not know yet
    assert until(lambda: not ours(family), LEASE_S + SLACK_S), ours(family)
