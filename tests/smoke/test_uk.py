"""A unikernel in a virtual machine: as a row, served on a tap device, and after the kill of one of
its parts (QEMU, the generator, the controller); and the message for a broken machine."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

import tool
from duts import SERVER, command
from nearmetal.build import programs as build
from nearmetal.kv.client import Client
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.process import Child, ChildError, Event, Where
from nearmetal.machine.vm import accelerator, qemu
from nearmetal.machine.vm.vm import Vm
from nearmetal.spec import rungs
from nearmetal.spec.programs import PROBE, program_of, programs_beside
from nearmetal.spec.rungs import RUNGS, Rung

SOURCE = "10.0.0.1"
SAY_S = 120.0
SPEC = """
window = 16
rounds = 1
warmup_s = 0.0
measured_s = {measured_s}
rungs = ["{rung}:kv"]
[workload]
keys = 1_000
flows = 4
"""
LOAD = ["--keys", "2000", "--window", "64", "--warmup", "0", "--time", "0", "--stay"]

Programs = Callable[[str], Path]

pytestmark = pytest.mark.timeout(tool.RUN_S)


@pytest.fixture(
    params=[
        pytest.param(rung.name, id=rung.name, marks=pytest.mark.rung(rung.name))
        for rung in RUNGS
        if rung.place == "uk" and rung.absent is None
    ]
)
def rung(request: pytest.FixtureRequest, programs: Programs) -> Rung:
    return usable(request.param, programs)


@pytest.fixture(
    params=[
        pytest.param(rung.name, id=rung.name, marks=pytest.mark.rung(rung.name))
        for rung in RUNGS
        if rung.place in ("guest", "uk") and rung.absent is None
    ]
)
def in_machine(request: pytest.FixtureRequest, programs: Programs) -> Rung:
    return usable(request.param, programs)


@pytest.fixture
def one(programs: Programs) -> Rung:
    """The rung for tests that depend on the place only."""
    return usable("uk-netdev", programs)


def usable(name: str, programs: Programs) -> Rung:
    found = rungs.find(name)
    for program in (program_of(found, "kv"), *programs_beside(found)):
        if (reason := build.why_not(program)) is not None:
            pytest.skip(reason)
        if program.startswith("nm-uk-lwip"):
            with suppress(AssertionError):
                programs(program)
                continue
            pytest.skip(f"{program} is not in this build")
    return found


# ---- one machine, many back ends ----


@contextmanager
def machine(rung: Rung, programs: Programs, folder: Path, *more: str) -> Iterator[Vm]:
    """A machine whose QEMU listens in `folder`."""
    words = ["--allow", "10.0.0.0/8"]
    made = command(rung, "kv", programs, folder / "vhost", words, 8 << 20).machine
    assert made is not None
    with Vm(replace(made, options=more), Where(), folder / "console") as vm:
        yield vm


@contextmanager
def generator(programs: Programs, folder: Path) -> Iterator[Child]:
    argv = [programs("nm-load-vhost"), "--socket", folder / "vhost", "--connect"]
    argv += ["--source", SOURCE, "--target", f"{SERVER}:11211", "--service", "kv", *LOAD]
    with Child(argv, Where()) as child:
        yield child


def answered(load: Child) -> Event:
    """Wait for a second with answers, none of them wrong."""
    while True:
        event = load.event(SAY_S)
        if event["event"] == "second" and event["answered"]:
            assert event["wrong"] == 0
            return event


def test_generators_come_and_go(rung: Rung, programs: Programs, tmp_path: Path) -> None:
    """After a generator's kill or end, the next one uses the same server."""
    with machine(rung, programs, tmp_path) as vm:
        for kill in (True, False):
            with generator(programs, tmp_path) as load:
                answered(load)
                if kill:
                    os.kill(load.pid, signal.SIGKILL)
        vm.expect("ready", SAY_S)
        assert vm.failed() is None
        counters = vm.counters(SAY_S)
        (final,) = vm.stop()
    assert final["event"] == "final"
    assert final["received"] == sum(final["drops"].values()) >= counters["received"] > 0


def test_the_console_is_kept(one: Rung, programs: Programs, tmp_path: Path) -> None:
    with machine(one, programs, tmp_path) as vm, generator(programs, tmp_path):
        boot = vm.booted(SAY_S)
        assert "netdev" in boot["libraries"] and boot["image"] == "nm-uk-netdev-kv"
        vm.expect("ready", SAY_S)
        vm.pin([min(os.sched_getaffinity(0))])
        assert (vm.guest_rss_bytes() or 0) < vm.machine.memory_bytes < 64 << 20
        assert (vm.own_rss_bytes() or 0) > 1 << 20
    said = (tmp_path / "console").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in said] == ["boot", "ready", "final"]


def test_no_network_is_noticed(one: Rung, programs: Programs, tmp_path: Path) -> None:
    """Memory that cannot be shared: QEMU continues, but no request could be answered."""
    private = ["-object", "memory-backend-ram,id=private,size=24M"]
    more = [*private, "-machine", "memory-backend=private", "-m", "24M"]
    with (
        machine(one, programs, tmp_path, *more) as vm,
        generator(programs, tmp_path),
        pytest.raises(ChildError, match="runs on without its network"),
    ):
        raise ChildError(tool.wait_until(vm.failed, "the machine's failure", SAY_S))


def test_what_qemu_refuses_is_one_line(one: Rung, programs: Programs, tmp_path: Path) -> None:
    del one
    kernel = tmp_path / "k"
    kernel.write_bytes(b"no kernel" * 1000)
    chosen = accelerator.choose(programs(PROBE), min(os.sched_getaffinity(0)))
    made = qemu.Machine(kernel, "", 16 << 20, chosen)
    said = "^k: qemu-system-x86_64 ended with exit code 1: qemu: invalid kernel header$"
    with Vm(made, Where(), tmp_path / "console") as vm, pytest.raises(ChildError, match=said):
        vm.booted(SAY_S)


# ---- as a row ----


@pytest.mark.parametrize("victim", [qemu.PROGRAM, "nm-load-vhost", "bench"])
def test_a_row_whose_part_is_killed(one: Rung, victim: str, tmp_path: Path) -> None:
    """The row fails with one clear line; with the controller, all parts end."""
    spec, out = tmp_path / "spec.toml", tmp_path / "out"
    spec.write_text(SPEC.format(rung=one.name, measured_s=20.0), encoding="utf-8")
    run = tool.of_bench(spec, out)
    bench, family, said = tool.kill_when_loaded(run, qemu.PROGRAM, victim)
    tool.gone(*family)
    if victim == "bench":
        tool.succeeds("clean")
    else:
        assert bench.returncode == 1, said
        (row,) = tool.rows(out).values()
        assert row["status"] == "failed"
        assert f"{victim} ended with SIGKILL" in row["reason"] and "\n" not in row["reason"]
    assert not (owner.state_directory() / owner.label("vhost", bench.pid)).exists()


# ---- served ----


def test_the_kernel_asks_through_a_tap_device(in_machine: Rung) -> None:
    rung = in_machine
    if os.geteuid() != 0:
        pytest.skip("a tap device needs root")
    with tool.serving(rung.name, "--memory", "8MiB") as served:
        family = served.family()
        with Client(served.host, served.port, timeout_s=30) as client:
            client.set("greeting", b"hello" * 200)
            for _ in range(4):
                assert client.append("greeting", b"hello" * 200)
            assert client.get("greeting") == b"hello" * 1000  # several frames
        final = served.stop()
    assert final["received"] == sum(final["drops"].values())
    assert (final["drops"]["answered"], final["drops"]["udp"], final["drops"]["ip"]) == (6, 0, 0)
    assert not served.link("tap").exists()
    tool.gone(*family)
