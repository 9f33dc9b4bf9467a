"""A unikernel as a process, served on a tap device, and after the kill of one of its parts: the
generator, the tender, or the data process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import tool
from duts import SERVER, command
from nearmetal.build import programs as build
from nearmetal.kv.client import Client
from nearmetal.machine.processes.process import Child, ChildError, Event, Where
from nearmetal.spec import rungs
from nearmetal.spec.programs import program_of
from nearmetal.spec.rungs import RUNGS, Rung
from tool import Served

SOURCE = "10.0.0.1"
SAY_S = 120.0  # longest wait for a line
LOAD = ["--keys", "2000", "--window", "64", "--warmup", "0", "--time", "0", "--stay"]
SPEC = """
window = 16
rounds = 1
measured_s = 20.0
rungs = ["{rung}:kv"]
[workload]
keys = 1_000
flows = 4
"""

Programs = Callable[[str], Path]

pytestmark = pytest.mark.timeout(tool.RUN_S)


@pytest.fixture(
    params=[
        pytest.param(rung.name, id=rung.name, marks=pytest.mark.rung(rung.name))
        for rung in RUNGS
        if rung.place == "ukp"
    ]
)
def rung(request: pytest.FixtureRequest, programs: Programs) -> Rung:
    found = rungs.find(request.param)
    name = program_of(found, "kv")
    reason = build.why_not(name)
    if reason is None and build.library_of(name) is not None:
        with suppress(AssertionError):
            programs(name)
            return found
        reason = f"{name} is not in this build"
    if reason is not None:
        pytest.skip(reason)
    return found


# ---- killed and started again ----


@dataclass(frozen=True)
class Both:
    """Generator and tender on one socket, as programs that can be started."""

    rung: Rung
    programs: Programs
    folder: Path

    @contextmanager
    def generator(self) -> Iterator[Child]:
        argv = [self.programs("nm-load-vhost"), "--socket", self.folder / "vhost"]
        argv += ["--source", SOURCE, "--target", f"{SERVER}:11211", "--service", "kv", *LOAD]
        with Child(argv, Where()) as child:
            yield child

    @contextmanager
    def tender(self) -> Iterator[tuple[Child, int]]:
        """Start a tender; yield it and the pid of its data process."""
        words = ["--allow", "10.0.0.0/8"]
        made = command(self.rung, "kv", self.programs, self.folder / "vhost", words, 8 << 20)
        with Child(made.argv, Where()) as child:
            ready = until(child, "ready")
            assert ready["tender_pid"] == child.pid != ready["pid"]
            yield child, ready["pid"]


@pytest.fixture
def both(rung: Rung, programs: Programs, tmp_path: Path) -> Both:
    return Both(rung, programs, tmp_path)


def until(child: Child, name: str) -> Event:
    return tool.until(child, name, SAY_S)


def answered(generator: Child) -> None:
    """Wait for a second with answers, none of them wrong."""
    while (event := until(generator, "second"))["answered"] == 0:
        pass
    assert event["wrong"] == 0


def ledger(generator: Child) -> Event:
    """Stop the generator; check that its result counts every request."""
    result = generator.stop(SAY_S)[-1]
    assert result["event"] == "result"
    assert result["sent"] == result["answered"] + result["wrong"] + result["lost"]
    assert result["wrong"] == 0
    return result


def test_the_generator_is_killed(both: Both) -> None:
    with both.generator() as first, both.tender() as (tender, _):
        answered(first)
        os.kill(first.pid, signal.SIGKILL)
        assert tender.event(SAY_S) == {"event": "down"}
        with both.generator() as second:
            assert tender.event(SAY_S) == {"event": "up"}
            answered(second)
            ledger(second)
        final = tender.stop()[-1]
    assert final["event"] == "final"
    assert final["received"] == sum(final["drops"].values())


def test_the_tender_is_killed(both: Both) -> None:
    """The data process ends with it; the same generator finds the next tender."""
    with both.generator() as generator:
        with both.tender() as (tender, pid):
            answered(generator)
            server = psutil.Process(pid)
            os.kill(tender.pid, signal.SIGKILL)
            tool.gone(server)
        until(generator, "down")
        with both.tender() as (tender, _):
            until(generator, "up")
            answered(generator)
            result = ledger(generator)
            assert result["lost"] > 0  # requests in flight


def test_the_process_that_answers_is_killed(both: Both) -> None:
    """The tender reports it and ends; the same generator finds the next tender."""
    with both.generator() as generator:
        with both.tender() as (tender, pid):
            answered(generator)
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(ChildError) as ended:
                until(tender, "never")
            assert "nm-tender ended with exit code 1: nm-tender: " in str(ended.value)
            assert "data process" in str(ended.value)
        until(generator, "down")
        with both.tender():
            until(generator, "up")
            answered(generator)
            assert ledger(generator)["lost"] > 0


def test_a_row_whose_process_is_killed_fails_with_the_reason(rung: Rung, tmp_path: Path) -> None:
    spec, out = tmp_path / "spec.toml", tmp_path / "out"
    spec.write_text(SPEC.format(rung=rung.name), encoding="utf-8")
    image = program_of(rung, "kv")
    bench, _, said = tool.kill_when_loaded(tool.of_bench(spec, out), image, image)
    assert bench.returncode == 1, said
    (row,) = tool.rows(out).values()
    assert row["status"] == "failed"
    assert "nm-tender ended with exit code 1" in row["reason"]
    assert "data process" in row["reason"]


# ---- served ----


def serving(rung: Rung, *words: str) -> AbstractContextManager[Served]:
    if os.geteuid() != 0:
        pytest.skip("a tap device needs root")
    return tool.serving(rung.name, "--memory", "8MiB", *words)


def ask(served: Served) -> None:
    with Client(served.host, served.port, timeout_s=30) as client:
        client.set("greeting", b"hello" * 200)
        for _ in range(4):
            assert client.append("greeting", b"hello" * 200)
        assert client.get("greeting") == b"hello" * 1000  # several frames
        assert client.stats()["curr_items"] == "1"


def test_the_kernel_asks_through_a_tap_device(rung: Rung) -> None:
    with serving(rung) as served:
        ask(served)
        assert served.link("tap").exists()
        family = served.family()
        tool.asleep(*(each.pid for each in family))
        final = served.stop()
    drops = final["drops"]
    assert final["received"] == sum(drops.values())
    assert (drops["answered"], drops["udp"], drops["ip"]) == (7, 0, 0)  # complete checksums
    assert drops["arp"] >= 1
    assert not served.link("tap").exists()
    assert not [each for each in family if tool.runs(each)]


@pytest.mark.xdist_group("machine")  # no other test cleans meanwhile
def test_a_killed_serve_leaves_nothing(rung: Rung) -> None:
    with tool.machine():
        with serving(rung) as served:
            family = served.family()
            assert len(family) == 3, family  # relay, tender, image
            served.process.kill()
            served.process.communicate(timeout=SAY_S)
        tool.gone(*family)
        assert served.link("tap").name in tool.succeeds("clean")
        assert not served.link("tap").exists()


def test_metrics_are_the_image_s(rung: Rung) -> None:
    where = tool.free_address()
    with serving(rung, "--metrics", where) as served:
        ask(served)
        text = tool.metrics(where, 'nearmetal_ended_total{reason="answered"} 7.0')
    assert "nearmetal_items 1.0" in text


@pytest.mark.parametrize("part", ["nm-relay", "nm-tender", "nm-ukp"])
def test_a_served_part_that_dies_is_one_line(rung: Rung, part: str) -> None:
    with ExitStack() as stack:
        served = stack.enter_context(serving(rung))
        (victim,) = (each for each in served.family() if each.name().startswith(part))
        victim.kill()
        _, err = served.process.communicate(timeout=SAY_S)
    assert served.process.returncode == 1
    assert len(err.splitlines()) == 1, err
    assert ("nm-relay" if part == "nm-relay" else "nm-tender") in err
    assert not served.link("tap").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nic", "eth9", "--listen", "198.18.255.1:11211"], "try host-dpdk"),
        (["--listen", "10.0.0.1:11211"], "tap device of its own"),
    ],
)
def test_what_it_cannot_be_given_is_one_line(rung: Rung, words: list[str], said: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("a tap device needs root")
    done = tool.run("serve", rung.name, *words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr
