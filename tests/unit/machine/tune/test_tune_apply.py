"""Settings for a run, settings that stay, and kills: the values before are always restored."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st

from dead import journal_of, long_ago
from nearmetal.errors import NearmetalError
from nearmetal.machine import journal
from nearmetal.machine.cores import cpus
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import nic
from nearmetal.machine.processes import owner
from nearmetal.machine.tune.apply import Applied, keep, kept_folder, put_back, tuned
from nearmetal.machine.tune.wanted import STEADY, Wanted

Made = Callable[..., Path]

EVERYTHING = Wanted(
    governor="performance", turbo=False, smt=False, nmi_watchdog=False, irq="away",
    hugepages_2mib=64, hugepages_1gib=2, interface="eth9", rps="away",
)  # fmt: skip


def journal_in(tmp_path: Path, who: owner.Owner | None = None) -> Journal:
    return Journal(tmp_path / "state/journal", who or owner.current())


def by_name(done: tuple[Applied, ...]) -> dict[str, Applied]:
    return {each.name: each for each in done}


def test_held_for_the_body(made: Made, tmp_path: Path) -> None:
    root = made(cores=6, threads=2)
    before = trees.values(root)
    with tuned(EVERYTHING, journal_in(tmp_path), root) as done:
        assert trees.get(root, f"{trees.CPU}/cpufreq/policy11/scaling_governor") == "performance"
        assert trees.get(root, f"{trees.CPU}/intel_pstate/no_turbo") == "1"
        assert trees.get(root, f"{trees.CPU}/smt/control") == "off"
        assert trees.get(root, "proc/sys/kernel/nmi_watchdog") == "0"
        assert trees.get(root, "proc/irq/24/smp_affinity_list") == "0,5"
        assert trees.get(root, f"{trees.POOLS}/hugepages-2048kB/nr_hugepages") == "576"
        assert trees.get(root, f"{trees.POOLS}/hugepages-1048576kB/nr_hugepages") == "2"
        assert trees.get(root, "sys/class/net/eth9/queues/rx-0/rps_cpus") == "00000021"
    assert all(not each.reason for each in done), [str(each) for each in done]
    assert str(by_name(done)["turbo"]) == "turbo: on -> off"
    assert [each.name for each in done][-1] == "smt"  # the others need SMT on
    assert trees.values(root) == before
    assert not list(journal_in(tmp_path).directory.rglob("*.json"))


def test_threads_that_go_and_come_back(made: Made, tmp_path: Path) -> None:
    """The kernel removes the policies of threads that are switched off, and moves interrupts that
    only they could get to any core, for good; it refuses a mask of offline cores only."""
    root, write = made(cores=6, threads=2), Path.write_text
    cpufreq, away = root / trees.CPU / "cpufreq", tmp_path / "away"
    away.mkdir()

    def switch(text: str) -> None:
        here, there = (cpufreq, away) if text == "off" else (away, cpufreq)
        for cpu in range(6, 12):
            (here / f"policy{cpu}").rename(there / f"policy{cpu}")
        trees.put(root, f"{trees.CPU}/online", "0-5" if text == "off" else "0-11")
        for file in (root / "proc/irq").glob("*/smp_affinity_list"):
            if cpus.parse_list(file.read_text()) <= set(range(6, 12)):
                write(file, "0-5")

    def kernel(file: Path, text: str, **more: object) -> int:
        if file.name == "control" and file.read_text().strip() != text:
            write(file, text)
            switch(text)
        elif file.name == "smp_affinity_list":
            online = cpus.parse_list(trees.get(root, f"{trees.CPU}/online"))
            if not cpus.parse_list(text) & online:
                raise OSError(22, "Invalid argument")
        return write(file, text)

    before = trees.values(root)
    for wanted in (EVERYTHING, Wanted(smt=False), Wanted(smt=False, irq="away")):
        with (
            mock.patch.object(Path, "write_text", kernel),
            tuned(wanted, journal_in(tmp_path), root) as done,
        ):
            assert not (cpufreq / "policy7").exists()
            assert trees.get(root, "proc/irq/30/smp_affinity_list") in ("0", "5", "0,5")
        assert not any(each.reason for each in done), [str(each) for each in done]
        assert trees.values(root) == before


def test_smt_is_switched_on_first(made: Made, tmp_path: Path) -> None:
    root = made(threads=2)
    trees.put(root, f"{trees.CPU}/smt/control", "off")
    wanted = Wanted(governor="performance", smt=True)
    with tuned(wanted, journal_in(tmp_path), root) as done:
        assert [each.name for each in done] == ["smt", "governor"]


def test_what_is_missing_is_said_and_the_rest_done(made: Made, tmp_path: Path) -> None:
    root = made(governors="")
    (root / f"{trees.CPU}/intel_pstate/no_turbo").unlink()
    with tuned(EVERYTHING, journal_in(tmp_path), root) as done:
        assert trees.get(root, "proc/sys/kernel/nmi_watchdog") == "0"
    found = by_name(done)
    assert found["governor"].before is None and "no cpufreq" in found["governor"].reason
    assert "neither" in found["turbo"].reason and "one thread each" in found["smt"].reason
    assert str(found["turbo"]).startswith("turbo: not set (neither")
    assert not found["nmi_watchdog"].reason


def test_nothing_asked_nothing_done(made: Made, tmp_path: Path) -> None:
    with tuned(None, journal_in(tmp_path), made()) as done:
        assert done == ()
    with tuned(Wanted(nmi_watchdog=True), journal_in(tmp_path), tmp_path / "machine") as done:
        assert str(done[0]) == "nmi_watchdog: on, as requested"


def test_what_the_kernel_refuses_is_counted(made: Made, tmp_path: Path) -> None:
    """Some interrupts cannot be moved: managed ones, and those of a timer."""
    root, write = made(cores=6), Path.write_text

    def refusing(file: Path, text: str, **more: object) -> int:
        if file.parent.name in ("26", "27"):
            raise PermissionError(1, "Operation not permitted")
        return write(file, text, encoding="ascii")

    before = trees.values(root)
    with (
        mock.patch.object(Path, "write_text", refusing),
        tuned(Wanted(irq="away"), journal_in(tmp_path), root) as done,
    ):
        assert trees.get(root, "proc/irq/28/smp_affinity_list") == "0,5"
    assert done[0].after == "2 of 8 may interrupt cores 1-4"
    assert done[0].reason == "2 of 6 refused by the kernel: Operation not permitted"
    assert trees.values(root) == before
    assert not list(journal_in(tmp_path).directory.rglob("*.json"))


def test_the_default_route_is_left_alone(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nic, "carries_default_route", lambda iface: iface == "eth9")
    wanted = Wanted(interface="eth9", rps="off")
    with tuned(wanted, journal_in(tmp_path), made()) as done:
        assert "carries this machine's default route" in done[0].reason
        assert done[0].before == done[0].after == "eth9: cores 0-3"


def test_too_few_pages_are_told(made: Made, tmp_path: Path) -> None:
    root = made()
    file = root / f"{trees.POOLS}/hugepages-1048576kB/nr_hugepages"
    write = Path.write_text

    def stingy(path: Path, text: str, **more: object) -> int:
        return write(path, "1" if path == file and text == "4" else text, encoding="ascii")

    with (
        mock.patch.object(Path, "write_text", stingy),
        tuned(Wanted(hugepages_1gib=4), journal_in(tmp_path), root) as done,
    ):
        pass
    assert "the kernel found 1 of 4 in one piece" in done[0].reason
    assert file.read_text() == "0"


def test_a_killed_run_is_cleaned(made: Made, tmp_path: Path) -> None:
    root = made(cores=6, threads=2)
    before = trees.values(root)
    killed = tuned(EVERYTHING, journal_of(long_ago(), tmp_path / "state/journal"), root)
    killed.__enter__()
    assert trees.values(root) != before
    assert journal.clean(tmp_path / "state")
    assert trees.values(root) == before
    with suppress(FileNotFoundError):  # the context ends here too, but its records are gone
        killed.__exit__(None, None, None)
    assert trees.values(root) == before


def test_what_is_kept_outlives_clean_and_is_put_back(made: Made, tmp_path: Path) -> None:
    root, state = made(cores=6, threads=2), tmp_path / "state"
    before = trees.values(root)
    done = tuple(keep(EVERYTHING, state, root))
    assert not any(each.reason for each in done)
    held = trees.values(root)
    assert held != before
    assert journal.clean(state) == [] and trees.values(root) == held
    assert journal.kept(kept_folder(state))
    said = list(put_back(state))
    assert len(said) == len(set(said)) > 20
    assert trees.values(root) == before
    assert list(put_back(state)) == [] and not kept_folder(state).exists()


def test_kept_twice_is_put_back_once(made: Made, tmp_path: Path) -> None:
    root, state = made(), tmp_path / "state"
    before = trees.values(root)
    pool = f"{trees.POOLS}/hugepages-2048kB/nr_hugepages"
    list(keep(Wanted(governor="performance", hugepages_2mib=10), state, root))
    list(keep(Wanted(governor="powersave", hugepages_2mib=30), state, root))
    assert trees.get(root, pool) == "542"  # instead of the first ten, not in addition
    list(put_back(state))
    assert trees.values(root) == before


def test_kept_while_a_run_has_pages(made: Made, tmp_path: Path) -> None:
    root, state = made(), tmp_path / "state"
    pool = f"{trees.POOLS}/hugepages-2048kB/nr_hugepages"
    list(keep(Wanted(hugepages_2mib=10), state, root))
    with tuned(Wanted(hugepages_2mib=5), journal_in(tmp_path), root):
        list(put_back(state))
        assert trees.get(root, pool) == "517"
    assert trees.get(root, pool) == "512"


def test_killed_while_it_wrote_a_record(made: Made, tmp_path: Path) -> None:
    root, state = made(), tmp_path / "state"
    before = trees.values(root)
    list(keep(Wanted(governor="performance"), state, root))
    (kept_folder(state) / "000099.json").write_text('{"kind":"va')
    list(put_back(state))
    assert trees.values(root) == before and not kept_folder(state).exists()


def test_what_cannot_be_put_back_stays_kept(made: Made, tmp_path: Path) -> None:
    root, state, write = made(), tmp_path / "state", Path.write_text
    before = trees.values(root)
    list(keep(Wanted(governor="performance", nmi_watchdog=False), state, root))

    def refusing(file: Path, text: str, **more: object) -> int:
        if "policy2" in str(file):
            raise OSError(5, "Input/output error")
        return write(file, text, encoding="ascii")

    with mock.patch.object(Path, "write_text", refusing):
        failed = [each for each in put_back(state) if isinstance(each, NearmetalError)]
    assert len(failed) == 1 and "policy2" in str(failed[0])
    assert len(journal.kept(kept_folder(state))) == 1
    list(put_back(state))
    assert trees.values(root) == before


ON_OFF = st.sampled_from([None, True, False])
WANTED = st.builds(
    Wanted,
    governor=st.sampled_from([None, "performance", "powersave", "ondemand", "userspace"]),
    turbo=ON_OFF,
    smt=ON_OFF,
    nmi_watchdog=ON_OFF,
    irq=st.sampled_from([None, "away"]),
    hugepages_2mib=st.none() | st.integers(1, 2000),
    hugepages_1gib=st.none() | st.integers(1, 9),
    interface=st.sampled_from(["eth8", "eth9"]),
    rps=st.sampled_from([None, "off", "away"]),
)
HOSTS = st.builds(
    trees.Host,
    nodes=st.integers(1, 2),
    cores=st.integers(1, 4),
    threads=st.integers(1, 2),
    governors=st.sampled_from(["", "performance", "performance powersave"]),
    intel=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(HOSTS, WANTED, st.lists(WANTED, max_size=2), st.sampled_from(["with", "killed"]))
def test_put_back_is_as_it_was(
    host: trees.Host, wanted: Wanted, kept: list[Wanted], end: str
) -> None:
    cores = set(range(host.count))
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(os, "sched_getaffinity", lambda pid: cores),
    ):
        root, state = trees.build(Path(folder) / "machine", host), Path(folder) / "state"
        before = trees.values(root)
        for each in kept:
            list(keep(each, state, root))
        held = trees.values(root)
        records = state / "journal"
        of_run = Journal(records, owner.current())
        run = tuned(wanted, of_run if end == "with" else journal_of(long_ago(), records), root)
        run.__enter__()
        if end == "killed":
            journal.clean(state)
        with suppress(FileNotFoundError):
            run.__exit__(None, None, None)
        assert trees.values(root) == held
        assert not any(isinstance(each, NearmetalError) for each in put_back(state))
        assert trees.values(root) == before


def test_what_apply_sets_when_nothing_is_named(made: Made, tmp_path: Path) -> None:
    with tuned(STEADY, journal_in(tmp_path), made(threads=2)) as done:
        names = ["governor", "turbo", "nmi_watchdog", "irq", "smt"]
        assert [each.name for each in done] == names
        assert not any(each.reason for each in done)
