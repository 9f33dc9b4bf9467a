"""Each setting on made-up machines: read, planned, or missing with a reason."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trees

from nearmetal.machine.cores import cpus
from nearmetal.machine.tune import apply
from nearmetal.machine.tune.interrupts import Irq, Rps
from nearmetal.machine.tune.link import Offload
from nearmetal.machine.tune.processor import Governor, NmiWatchdog, Smt, Turbo
from nearmetal.machine.tune.setting import Change, LacksError

Made = Callable[..., Path]


def written(root: Path, changes: list[Change]) -> dict[str, str]:
    return {str(Path(change.what).relative_to(root)): change.new for change in changes}


def test_governor(made: Made) -> None:
    root = made(cores=4)
    governor = Governor(root)
    assert governor.read().value == "ondemand (2), powersave (2)"
    plan = written(root, governor.changes("powersave"))
    assert plan == {
        f"{trees.CPU}/cpufreq/policy{cpu}/scaling_governor": "powersave" for cpu in (0, 2)
    }
    with pytest.raises(
        LacksError, match=r"policy0 has no governor userspace \(it has: performance,"
    ):
        governor.changes("userspace")


def test_no_cpufreq(made: Made) -> None:
    governor = Governor(made(governors=""))
    assert governor.read().value is None and "no cpufreq" in governor.read().note
    with pytest.raises(LacksError, match="no cpufreq"):
        governor.changes("performance")


@pytest.mark.parametrize(
    ("intel", "file", "off"),
    [(True, "intel_pstate/no_turbo", "1"), (False, "cpufreq/boost", "0")],
)
def test_turbo(made: Made, intel: bool, file: str, off: str) -> None:
    root = made(intel=intel)
    turbo = Turbo(root)
    assert turbo.read().value == "on" and turbo.changes("on") == []
    assert written(root, turbo.changes("off")) == {f"{trees.CPU}/{file}": off}
    trees.put(root, f"{trees.CPU}/{file}", off)
    assert turbo.read().value == "off"
    assert written(root, turbo.changes("on")) == {f"{trees.CPU}/{file}": str(1 - int(off))}
    (root / trees.CPU / file).unlink()
    assert "neither intel_pstate nor cpufreq" in turbo.read().note


def test_smt(made: Made) -> None:
    root = made(threads=2)
    smt, file = Smt(root), f"{trees.CPU}/smt/control"
    assert smt.read().value == "on"
    assert written(root, smt.changes("off"))[file] == "off" and smt.changes("on") == []
    for control, says in (
        ("notsupported", "one thread each"),
        ("forceoff", "command line or the firmware fixes it"),
        ("notimplemented", "no switch"),
    ):
        trees.put(root, file, control)
        with pytest.raises(LacksError, match=says):
            smt.changes("on")
    trees.put(root, file, "forceoff")
    assert smt.read().value == "off" and smt.changes("off") == []


def test_interrupts_of_threads_that_go_are_moved_first(made: Made) -> None:
    root = made(cores=4, threads=2)
    trees.put(root, "proc/irq/24/smp_affinity_list", "5,7")
    plan = Smt(root).changes("off")
    assert written(root, plan) == {
        "proc/irq/24/smp_affinity_list": "1,3",
        "proc/irq/30/smp_affinity_list": "3",
        f"{trees.CPU}/smt/control": "off",
    }
    assert plan[-1].new == "off"  # last, so that it is undone first


def test_nmi_watchdog(made: Made, tmp_path: Path) -> None:
    root = made()
    assert NmiWatchdog(root).read().value == "on"
    assert written(root, NmiWatchdog(root).changes("off")) == {"proc/sys/kernel/nmi_watchdog": "0"}
    assert NmiWatchdog(tmp_path / "none").read().note == "this kernel has no NMI watchdog"


def test_what_may_not_be_written_says_so(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    root = made()
    monkeypatch.setattr(os, "access", lambda file, mode: False)
    for user, says in ((0, "read-only here"), (1000, "needs root")):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        with pytest.raises(LacksError, match=says):
            NmiWatchdog(root).changes("off")
        assert NmiWatchdog(root).changes("on") == []  # the value is already right


def test_interrupts_go_to_cores_that_are_not_measured(made: Made) -> None:
    root = made(nodes=2, cores=4, threads=2)
    irq = Irq(root, cpus.choose(cpus.allowed(root), root))
    assert irq.cores.quiet == {4, 5, 6, 7, 12, 13, 14, 15}
    assert irq.read().value == "7 of 8 may interrupt cores 4-7,12-15"
    plan = written(root, irq.changes("away"))
    assert plan.pop("proc/irq/30/smp_affinity_list") == "0-3,8-11"  # its only core is measured
    assert set(plan.values()) == {"0-3,8-11"} and len(plan) == 6  # irq 31 is on core 0 already
    trees.put(root, "proc/77/comm", "irqbalance")
    assert "irqbalance runs" in irq.read().note


def test_interrupts_keep_what_they_may_of_theirs(made: Made) -> None:
    root = made(cores=6)
    irq = Irq(root, cpus.choose(cpus.allowed(root), root))
    trees.put(root, "proc/irq/24/smp_affinity_list", "0,1")
    trees.put(root, "proc/irq/25/smp_affinity_list", "5")
    plan = written(root, irq.changes("away"))
    assert plan["proc/irq/24/smp_affinity_list"] == "0"
    assert "proc/irq/25/smp_affinity_list" not in plan


def test_two_cores_have_no_place_for_interrupts(made: Made) -> None:
    root = made(cores=2)
    cores = cpus.choose(cpus.allowed(root), root)
    for setting in (Irq(root, cores), Rps(root, "eth9", cores)):
        with pytest.raises(LacksError, match="all cores are measured"):
            setting.changes("away")


def test_receive_steering(made: Made) -> None:
    root = made(cores=6)
    rps = Rps(root, "eth9", cpus.choose(cpus.allowed(root), root))
    assert rps.read().value == "eth9: cores 0-3"
    queues = [f"sys/class/net/eth9/queues/rx-{queue}/rps_cpus" for queue in range(2)]
    assert written(root, rps.changes("off")) == dict.fromkeys(queues, "00000000")
    assert written(root, rps.changes("away")) == dict.fromkeys(queues, "00000021")
    for queue in queues:
        trees.put(root, queue, "00,00000000")
    assert rps.read().value == "eth9: off" and rps.changes("off") == []
    nothing = Rps(root, "eth8", rps.cores)
    assert nothing.read().note == "no interface eth8, or it has no receive queue"


def test_features_of_a_link_that_the_kernel_does_not_have(made: Made) -> None:
    root = made()
    assert Offload(root, "eth8", "gro").read().note == "no interface eth8"
    assert "does not report it: No such device" in Offload(root, "eth9", "gro").read().note


def test_everything_is_shown(made: Made, tmp_path: Path) -> None:
    root = made(threads=2)
    shown = {state.name: state for state in apply.every("eth9", root)}
    plain = ("governor", "turbo", "smt", "nmi_watchdog", "hugepages_2mib", "hugepages_1gib", "irq")
    assert all(shown[name].value for name in (*plain, "rps"))
    assert shown["hugepages_2mib"].value == "512, 512 of them free"
    assert all(state.value or state.note for state in apply.every(None, tmp_path / "bare"))
