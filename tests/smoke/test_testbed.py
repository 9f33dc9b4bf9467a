"""The rehearsal: machines made of namespaces, reached by SSH; and the state after one of them
fails.

The whole remote path runs: EnOSlib, deployment, agents, SSH. Parts that are not available here are
skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import left
import psutil
import pytest
from pyroute2 import IPRoute

import documents
import tool
from nearmetal.build import fetched, programs
from nearmetal.machine.journal import open_journal
from nearmetal.machine.processes import owner
from nearmetal.paths import cache_dir, source_root
from nearmetal.testbed import enos, rehearsal
from nearmetal.testbed.lease import LEASE_S
from nearmetal.testbed.spec import Seat
from tool import Finished, Started, rows, skip_where_busy

START_S = 240.0  # including the wait for another run
LONG_S = 900.0
SLACK_S = 60.0  # from a lease's end until all is undone, on a loaded machine
EXAMPLES = source_root() / "examples"
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
        return "ssh is not installed"
    return enos.why_not() or fetched.why_not("sshd") or programs.why_not("nm-sock-kv")


pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.timeout(LONG_S + tool.RUN_S),
]


@pytest.fixture
def links() -> Iterator[Callable[[], set[str]]]:
    """Return a function for this machine's links, without those of other running processes; at the
    end no link may be left over."""

    def look() -> set[str]:
        with IPRoute() as route:
            return set(left.dead(str(link.get("ifname")) for link in route.get_links()))

    before = look()
    yield look
    tool.wait_until(lambda: look() <= before, "end of the links", SLACK_S)


def rehearse(out: Path, *words: str) -> Started:
    return tool.start("testbed", "rehearse", "--yes", "--out", out, *words, apart=True)


def run_on(machines: Path, *words: str, env: dict[str, str] | None = None) -> Finished:
    """Run the experiment on existing machines; the run's folder is beside their file."""
    run: list[str | Path] = ["testbed", "run", machines, "--yes"]
    run += ["--out", machines.with_name("out")]
    return tool.run(*run, "--spec", "smoke", *words, limit_s=LONG_S, env=env)


def ours(family: str) -> list[str]:
    """Return the command lines of the programs started on a rig's machines: from our cache, or a
    made-up user's (test_logins.py). Other rehearsals are left out."""
    found, deployed = [], (f"{cache_dir()}/deployed/", "/run/home/")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        started = any(name in words for name in OURS) and any(place in words for place in deployed)
        if started or family in words:
            found.append(words)
    return found


def generating() -> bool:
    """Whether a generator that we deployed runs; other rehearsals do not count."""
    deployed = str(cache_dir() / "deployed")
    started = (words for words in ours("no family") if deployed in words)
    return any("nm-load" in words and "--share" in words for words in started)


def of_the_document(seats: dict[str, Seat]) -> str:
    """Return the document's machines file with only the SSH addresses replaced."""
    static = documents.shown("docs/testbed.md", '[sut]\nhost = "server.example.org"')
    for name, seat in (("server", seats["sut"]), ("client", seats["tg1"])):
        reached = f'host = "{seat.host}"\nport = {seat.port}\nkey = "{seat.key}"\n'
        reached += f"options = {json.dumps(seat.options)}\n"
        line = f'host = "{name}.example.org"\n'
        assert line in static
        static = static.replace(line, reached)
    return static


@pytest.mark.usefixtures("links")
def test_the_machines_of_the_document_end_with_a_table(tmp_path: Path) -> None:
    machines = tmp_path / "machines.toml"
    with rehearsal.standing(open_journal(), 1) as made:
        machines.write_text(of_the_document(made.spec.seats()))
        done = run_on(machines, "--rungs", "host-sock")
        assert done.returncode == 0, done.stderr
    for service in ("kv", "echo"):
        row = rows(tmp_path / "out")["host-sock", service]
        assert row["status"] == "ok", row["reason"]
        assert row["wire"] == "nic" and row["wrong"] == 0 and row["answered"]
        assert row["sent"] == row["answered"] + row["wrong"] + row["lost"]
    told = json.loads((tmp_path / "out" / "testbed.json").read_text())
    assert set(told["machines"]) == {"sut", "tg1"}
    assert told["differences"] == []
    assert not ours(owner.label("rig"))


def test_a_machine_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    spec = tmp_path / "machines.toml"
    seat = 'host = "127.0.0.1"\nport = 1\nnic = "data"\naddress = "10.10.0.{}/24"\n'
    spec.write_text(f"[sut]\n{seat.format(1)}\n[[tg]]\n{seat.format(2)}")
    done = tool.run("testbed", "run", spec, "--yes", "--out", tmp_path / "out")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "sut" in last and "SSH" in last and "Traceback" not in done.stderr, done.stderr


@pytest.mark.usefixtures("links")
def test_one_generator_and_two_whose_counts_are_added_up(tmp_path: Path, is_long: bool) -> None:
    """--full: the whole of specs/rehearsal.toml, which has the rows behind the switch, too."""
    out = tmp_path / "out"
    few = () if is_long else ("--rungs", "host-mmsg:kv,limit-nic")
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
        if programs.why_not("nm-null-xdp") is None:
            assert row["generator_ceiling_per_s"], row["rung"]
    assert {row["point"]["generators"] for row in report["rows"]} == {1, 2}
    assert not ours(owner.label("rig", child.pid))


@pytest.mark.usefixtures("links")
def test_a_service_of_a_users_is_deployed_and_asked(tmp_path: Path) -> None:
    """Its Python file on the server's machine, its programs, and on each machine its records."""
    pytest.importorskip("numba", reason="compiles a service")
    out = tmp_path / "out"
    words = ("--service", str(EXAMPLES / "seen.py"), "--rungs", "host-mmsg,host-py")
    child = rehearse(out, *words, "--rounds", "1")
    said = child.communicate(timeout=LONG_S)[1]
    skip_where_busy(said)
    assert child.returncode == 0, said
    check_served(out, {"host-mmsg": "seen", "host-py": "seen"}, points=2)
    assert (out / "seen.records").stat().st_size
    json.loads(tool.succeeds("report", out, "--json"))  # from the files of the folder alone
    assert not ours(owner.label("rig", child.pid))


@pytest.mark.usefixtures("links", "only_full")
def test_a_service_in_c_is_deployed_and_asked(tmp_path: Path) -> None:
    """A spec of its own names the file."""
    spec, out = tmp_path / "own.toml", tmp_path / "out"
    spec.write_text(
        f'service = "{EXAMPLES / "mirror.c"}"\nrounds = 1\nwarmup_s = 0.1\nmeasured_s = 0.3\n'
        'window = 16\nrungs = ["host-mmsg"]\n[workload]\nname = "own"\nflows = 4\n'
    )
    child = rehearse(out, "--spec", str(spec))
    said = child.communicate(timeout=LONG_S)[1]
    skip_where_busy(said)
    assert child.returncode == 0, said
    check_served(out, {"host-mmsg": "mirrorc"}, points=1)


def check_served(out: Path, served: dict[str, str], points: int) -> None:
    """Check that each row answered right at every point."""
    report = json.loads((out / "report.json").read_text())
    found = [row for row in report["rows"] if row["rung"] in served]
    assert len(found) == points * len(served)
    for row in found:
        assert row["service"] == served[row["rung"]]
        assert row["status"] == "ok" and row["wrong"] == 0 and row["answered"], row


@pytest.mark.usefixtures("links", "only_full")
def test_server_and_switch_take_the_nic_by_xdp_sockets(tmp_path: Path) -> None:
    if (reason := programs.why_not("nm-dpdk-kv") or programs.why_not("dpdk-testpmd")) is not None:
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


@pytest.mark.usefixtures("links", "only_full")
def test_a_nic_that_is_no_card_is_not_for_dpdks_drivers(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--spec", "smoke", "--rungs", "host-sock:echo,host-dpdk:echo", "--take", "dpdk")
    child = rehearse(out, "--generators", "1", *words)
    said = child.communicate(timeout=START_S)[1]
    skip_where_busy(said)
    assert child.returncode == 1, said
    assert rows(out)["host-sock", "echo"]["status"] == "ok"  # its NIC stays with the kernel
    row = rows(out)["host-dpdk", "echo"]
    assert row["status"] == "failed" and "not a PCI device" in str(row["reason"])


def test_a_killed_controller_leaves_nothing_running(
    tmp_path: Path, links: Callable[[], set[str]]
) -> None:
    before = links()
    spec = tmp_path / "long.toml"
    spec.write_text(LONG.format(seconds=60))
    child = rehearse(tmp_path / "out", "--spec", str(spec))
    tool.wait_beside(child, generating, "a generator", START_S)
    child.kill()
    child.communicate()
    family = owner.label("rig", child.pid)
    ended(family)
    tool.wait_until(lambda: links() <= before, "end of the links", SLACK_S)
    tool.succeeds("clean")
    assert not list(owner.state_directory().glob(f"{family}*"))


@pytest.mark.usefixtures("links", "only_full")
def test_a_machine_that_differs_builds_for_itself(tmp_path: Path) -> None:
    """Both build: the generator's machine little, the server's the programs of its rows, also those
    of a user's service from the files that were deployed."""
    machines, other = tmp_path / "machines.toml", tmp_path / "os-release"
    known = Path("/etc/os-release").read_text()
    other.write_text(re.sub(r"(?m)^VERSION_ID=.*$", 'VERSION_ID="99"', known))
    with rehearsal.standing(open_journal(), 1) as made:
        machines.write_text(of_the_document(made.spec.seats()))
        for pid in made.pids.values():
            inside = ["nsenter", "-t", str(pid), "--mount", "mount", "--bind"]
            subprocess.run([*inside, str(other), "/etc/os-release"], check=True)
        served = "host-sock,host-sock:echo,host-py,host-dpdk:kv,uk-netdev:echo,limit-nic"
        done = run_on(machines, "--rungs", served, "--service", str(EXAMPLES / "seen.py"))
    assert done.returncode == 0, done.stderr
    for name in ("sut", "tg1"):
        assert f"{name} builds for itself: it runs" in done.stderr, done.stderr
    for name, row in rows(tmp_path / "out").items():
        assert row["status"] == "ok" and row["wrong"] == 0, (name, row["reason"])
    assert {("host-sock", "seen"), ("host-py", "seen")} <= rows(tmp_path / "out").keys()
    assert not ours(owner.label("rig"))


@pytest.mark.usefixtures("links")
def test_a_full_disk_is_told_with_its_machine(tmp_path: Path) -> None:
    machines = tmp_path / "machines.toml"
    with rehearsal.standing(open_journal(), 1) as made:
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
    assert not ours(owner.label("rig"))


def agent_of_the_second() -> psutil.Process | None:
    """Return the agent of the second generator, once that generator runs."""
    for process in psutil.process_iter():
        words = tool.command_line(process)
        if "nm-load" in words and "--share 2/2" in words and "/deployed/" in words:
            with contextlib.suppress(psutil.Error):
                return next(p for p in process.parents() if "agent" in p.cmdline())
    return None


def ended(family: str) -> None:
    """Wait until all programs on a rig's machines have ended, at the lease's end at the latest."""
    tool.wait_until(lambda: not ours(family), f"end of {family}", LEASE_S + SLACK_S)


@pytest.mark.usefixtures("links", "only_full")
def test_a_machine_that_hangs_ends_the_run_in_one_line(tmp_path: Path) -> None:
    spec, out = tmp_path / "long.toml", tmp_path / "out"
    one_round = LONG.format(seconds=300).replace("rounds = 2", "rounds = 1")
    spec.write_text(one_round + "[sweep]\ngenerators = [2]\n")
    child = rehearse(out, "--spec", str(spec))
    tool.wait_beside(child, generating, "a generator", START_S)
    agent = tool.wait_until(agent_of_the_second, "the second generator", START_S)
    agent.send_signal(signal.SIGSTOP)
    try:  # long before its results are read
        said = child.communicate(timeout=LONG_S)[1]
    finally:
        with contextlib.suppress(psutil.Error):
            agent.send_signal(signal.SIGCONT)
    assert child.returncode == 1, said
    last = said.splitlines()[-1]
    assert "tg2" in last and "no sign of life" in last and "Traceback" not in said, said
    report = json.loads((out / "report.json").read_text())
    assert report["partial"] is True and "tg2" in report["reason"]
    ended(owner.label("rig", child.pid))


@pytest.mark.usefixtures("links", "only_full")
def test_a_generator_that_is_cut_off_ends_the_run_in_one_line(tmp_path: Path) -> None:
    spec, out = tmp_path / "long.toml", tmp_path / "out"
    spec.write_text(LONG.format(seconds=4))
    child = rehearse(out, "--spec", str(spec))
    tool.wait_beside(child, (out / "samples.jsonl").exists, "the first trial's end", START_S)
    with IPRoute() as route:  # the first trial is over, the second runs
        route.link(
            "set", index=route.link_lookup(ifname=owner.label("tg1", child.pid))[0], state="down"
        )
    said = child.communicate(timeout=LONG_S)[1]
    assert child.returncode == 1, said
    last = said.splitlines()[-1]
    assert "tg1" in last and "SSH" in last and "Traceback" not in said, said
    report = json.loads((out / "report.json").read_text())
    assert report["partial"] is True and report["reason"]
    assert rows(out)["host-sock", "echo"]["rounds"] == 1  # the finished trial is kept
    ended(owner.label("rig", child.pid))  # the part that was cut off ends with its lease
