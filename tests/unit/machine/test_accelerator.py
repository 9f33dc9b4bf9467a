"""The choice of an accelerator, and how long it is kept: with a simulated probe."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal.errors import CannotRunError
from nearmetal.machine.vm import accelerator
from nearmetal.samples import Accelerator

RATES = {"max": 5e8, "host,-arch-capabilities": 3e5}


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A probe file, a new cache, a file in place of QEMU, a file in place of /dev/kvm."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("probe", "qemu", "kvm"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr("nearmetal.machine.vm.qemu.found", lambda: tmp_path / "qemu")
    monkeypatch.setattr(accelerator, "KVM", tmp_path / "kvm")
    return tmp_path / "probe"


def pretend(monkeypatch: pytest.MonkeyPatch, rates: dict[str, float]) -> list[str]:
    asked: list[str] = []

    def loops(probe: Path, under: Accelerator, cpu: int) -> float:
        del probe, cpu
        asked.append(under.cpu)
        if under.cpu not in rates:
            raise CannotRunError(f"{under.cpu} dies")
        return rates[under.cpu]

    monkeypatch.setattr(accelerator, "_loops_per_s", loops)
    return asked


def test_the_faster_one_is_taken(probe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend(monkeypatch, RATES)
    found = accelerator.choose(probe, 0)
    assert (found.name, found.cpu, found.forced) == ("tcg", "max", False)
    assert found.loops_per_s == {"tcg": 5e8, "kvm": 3e5}
    assert asked == ["max", "host", "host,-arch-capabilities"]


def test_kvm_where_it_is_faster(probe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"max": 5e8, "host": 3e9})
    found = accelerator.choose(probe, 0)
    assert (found.name, found.cpu) == ("kvm", "host")


def test_it_is_probed_once(probe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend(monkeypatch, RATES)
    assert accelerator.last_found() is None
    first = accelerator.choose(probe, 0)
    number = len(asked)
    assert accelerator.choose(probe, 0) == first and len(asked) == number
    assert accelerator.last_found() == first.loops_per_s
    probe.write_bytes(b"another")
    accelerator.choose(probe, 0)
    assert len(asked) == 2 * number


def test_a_spec_may_force_it(probe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, RATES)
    found = accelerator.choose(probe, 0, "kvm")
    assert (found.name, found.cpu, found.forced) == ("kvm", "host,-arch-capabilities", True)


def test_what_cannot_run_is_told(probe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "KVM", probe.with_name("none"))
    pretend(monkeypatch, {"max": 5e8})
    found = accelerator.choose(probe, 0)
    assert found.name == "tcg" and "No such file" in found.missing["kvm"]
    with pytest.raises(CannotRunError, match=r"accelerator kvm: .*No such file"):
        accelerator.choose(probe, 0, "kvm")


def test_where_nothing_runs(probe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {})
    with pytest.raises(CannotRunError, match="accelerator tcg: max dies"):
        accelerator.choose(probe, 0)


def test_a_probe_that_tcg_did_not_answer_is_made_again(
    probe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TCG runs everywhere: a missing answer means a busy machine, for a time only."""
    pretend(monkeypatch, {"host": 3e5})
    assert accelerator.choose(probe, 0).name == "kvm"
    assert accelerator.last_found() is None
    pretend(monkeypatch, RATES)
    assert accelerator.choose(probe, 0).name == "tcg"
