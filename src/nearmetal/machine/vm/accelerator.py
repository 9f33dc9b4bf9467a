"""Choose the accelerator for virtual machines on this machine, by measurement.

An open /dev/kvm says little: where the machine is itself a guest, KVM may emulate each instruction,
hundreds of times slower than QEMU's translator (TCG). So `nm-uk-probe`, an image that runs a simple
loop and reports its turns, is booted under each accelerator for a fraction of a second, on the core
to be measured, and the faster one is chosen. The result is kept for this boot of the machine and
for these versions of the programs, and is part of every result.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from nearmetal.errors import CannotRunError, NearmetalError
from nearmetal.machine.processes.process import SilentError, Where
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.vm import Vm
from nearmetal.paths import cache_dir
from nearmetal.samples import Accelerator, Frozen

Name = Literal["kvm", "tcg"]

KVM = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# From exec to the probe's first line. TCG works everywhere, so if it is silent the machine is busy;
# under KVM the silence may last for ever.
_START_S: dict[Name, float] = {"tcg": 120.0, "kvm": 15.0}
_LOOK_S, _LOOK_MAX_S = 0.25, 1.0  # how long the probe's loop is measured
_LINES_MIN = 2
_MEMORY_BYTES = 16 << 20
# Nested KVM may be unable to pass a register of `host` on; then try without that register.
_CPUS: dict[Name, tuple[str, ...]] = {
    "tcg": ("max",),
    "kvm": ("host", "host,-arch-capabilities"),
}


class Probed(Frozen):
    """The result of probing, and the machine and programs it is valid for (key)."""

    key: str
    cpu: dict[str, str]
    loops_per_s: dict[str, float]
    missing: dict[str, str]


@dataclass(frozen=True)
class Found:
    """The result for one accelerator."""

    cpu: str
    loops_per_s: float


def choose(probe: Path, cpu: int, forced: Name | None = None) -> Accelerator:
    """Return the faster accelerator, or the `forced` one. CannotRunError: it does not run."""
    probed = _kept(probe)
    if probed is None:
        probed = _probe(probe, cpu)
        if "tcg" in probed.loops_per_s:  # else let the next run probe again
            _keep(probed)
    rates = probed.loops_per_s
    name: str = forced or max(rates, key=lambda each: rates[each], default="tcg")
    if name not in rates:
        raise CannotRunError(f"accelerator {name}: {probed.missing.get(name, 'unknown')}")
    return Accelerator.model_validate(
        {
            "name": name,
            "cpu": probed.cpu[name],
            "loops_per_s": rates,
            "missing": probed.missing,
            "forced": forced is not None,
        }
    )


def last_found() -> dict[str, float] | None:
    """Return loops per second by accelerator, as last probed on this boot, or None."""
    try:
        probed = Probed.model_validate_json(_file().read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
    return probed.loops_per_s if probed.key.startswith(_boot()) else None


def kvm_why_not() -> str | None:
    """Return why KVM's device cannot be opened, or None."""
    try:
        os.close(os.open(KVM, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        hint = " (join the group kvm)" if isinstance(error, PermissionError) else ""
        return f"{KVM}: {error.strerror}{hint}"
    return None


def _probe(probe: Path, cpu: int) -> Probed:
    found: dict[Name, Found] = {}
    missing: dict[str, str] = {}
    names: tuple[Name, ...] = ("tcg", "kvm")
    for name in names:
        reason = kvm_why_not() if name == "kvm" else None
        for model in () if reason else _CPUS[name]:
            try:
                found[name] = Found(
                    model, _loops_per_s(probe, Accelerator(name=name, cpu=model), cpu)
                )
                break
            except NearmetalError as error:
                reason = reason or str(error)
        if name not in found:
            missing[name] = reason or ""
    return Probed(
        key=_key(probe),
        cpu={name: each.cpu for name, each in found.items()},
        loops_per_s={name: each.loops_per_s for name, each in found.items()},
        missing=missing,
    )


def _loops_per_s(probe: Path, accelerator: Accelerator, cpu: int) -> float:
    """Return turns of the probe's loop per second, measured from its first line for _LOOK_S."""
    machine = qemu.Machine(probe, "", _MEMORY_BYTES, accelerator)
    with (
        tempfile.TemporaryDirectory(prefix="nm-probe-") as folder,
        Vm(machine, Where(cpu=cpu), Path(folder) / "console", grace_s=0) as vm,
    ):
        turns = [float(vm.expect("probe", _START_S[accelerator.name])["loops"])]
        began = time.monotonic()
        elapsed_s = 0.0
        while len(turns) <= _LINES_MIN or elapsed_s < _LOOK_S:
            try:
                line = vm.expect("probe", max(_LOOK_S, _LOOK_MAX_S - elapsed_s))
            except SilentError:
                if len(turns) > 1:
                    break  # slow, but measured
                raise
            turns.append(float(line["loops"]))
            elapsed_s = time.monotonic() - began
        return (turns[-1] - turns[0]) / elapsed_s


def _kept(probe: Path) -> Probed | None:
    try:
        probed = Probed.model_validate_json(_file().read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
    return probed if probed.key == _key(probe) else None


def _keep(probed: Probed) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as new:
        new.write(probed.model_dump_json())
    Path(new.name).replace(file)  # replace as a whole: two runs may probe at once


def _boot() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _file() -> Path:
    return cache_dir() / "accelerator.json"


def _key(probe: Path) -> str:
    """Return a text for this boot, the access to KVM, and the present QEMU and probe files."""
    paths = (qemu.found(), probe)
    files = (f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths)
    return "; ".join([_boot(), str(kvm_why_not()), *files])
