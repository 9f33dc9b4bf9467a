"""Packages that set-up installs for a named row, compared with the needs of the rungs."""

from __future__ import annotations

import shutil
from fnmatch import fnmatchcase

import pytest

from nearmetal.build import fetched, groups, meson
from nearmetal.build import programs as build
from nearmetal.commands import doctor
from nearmetal.spec.programs import program_of, programs_beside
from nearmetal.spec.rungs import RUNGS, Rung

BUILT = [rung for rung in RUNGS if rung.absent is None]


def programs(rung: Rung) -> set[str]:
    named = {program_of(rung, service) for service in rung.services}
    return named | set(programs_beside(rung))


def without(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine that misses only the packages of a group."""
    lacking = {"vm": ("qemu-system-x86_64",), "bpf": ("bpf-gcc", "clang"), "dpdk": ()}[group]
    monkeypatch.setattr(shutil, "which", lambda name: None if name in lacking else f"/bin/{name}")
    monkeypatch.setattr(meson, "has_package", lambda name: name != "libdpdk" or group != "dpdk")
    monkeypatch.setattr(fetched, "dpdk_wanted", lambda: False)


@pytest.mark.parametrize("group", ["vm", "dpdk", "bpf"])
@pytest.mark.parametrize("rung", BUILT, ids=lambda rung: rung.name)
def test_a_row_asks_for_what_its_programs_need(
    rung: Rung, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(group, monkeypatch)
    needed = any(build.why_not(program) for program in programs(rung))
    assert (group in groups.groups_of(rung.name)) == needed


@pytest.mark.parametrize("group", ["vm", "dpdk", "bpf"])
def test_doctor_names_the_rows_that_a_missing_group_costs(
    group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(group, monkeypatch)
    monkeypatch.setattr(build, "fuzz_why_not", lambda: None)
    lines = [cost for _, cost in doctor.missing() if groups.rows_of(group) in cost]
    assert len(lines) == 1


def test_every_line_is_of_some_rung() -> None:
    for pattern in groups.rows_of("vm").split(", "):
        assert any(fnmatchcase(rung.name, pattern) for rung in RUNGS)
