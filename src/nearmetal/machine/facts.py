"""Facts about the machine a result came from (machine.json). Read-only; unknown is null."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil

from nearmetal.samples import Frozen

_MITIGATIONS = Path("/sys/devices/system/cpu/vulnerabilities")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


class MachineFacts(Frozen):
    """The facts that must match, or be reported, when two results are compared."""

    version: int = 1
    cpu: str | None
    cores: int  # that this process may use
    threads_per_core: int | None
    memory_bytes: int
    cache_bytes: dict[str, int]  # L1d, L2, L3 that one core uses; empty if not reported
    kernel: str
    command_line: str | None  # of the kernel: isolcpus, mitigations= and so on
    mitigations: dict[str, str]
    hypervisor: bool | None  # whether this machine is a guest
    governor: str | None
    distribution: str | None
    python: str


def facts() -> MachineFacts:
    """Read the facts from the kernel."""
    cpu = _cpuinfo()
    return MachineFacts(
        cpu=cpu.get("model name"),
        cores=len(os.sched_getaffinity(0)),
        threads_per_core=_threads_per_core(),
        memory_bytes=psutil.virtual_memory().total,
        cache_bytes=cache_bytes(_CACHES),
        kernel=platform.release(),
        command_line=_read(Path("/proc/cmdline")),
        mitigations=_mitigations(),
        hypervisor="hypervisor" in cpu["flags"].split() if "flags" in cpu else None,
        governor=_read(_GOVERNOR),
        distribution=_distribution(),
        python=platform.python_version(),
    )


def cache_bytes(folder: Path) -> dict[str, int]:
    """Return the data caches by level, smallest first, from sysfs (where a size is e.g. "48K")."""
    found: dict[str, int] = {}
    for index in sorted(folder.glob("index*")):
        level, kind, size = (_read(index / name) for name in ("level", "type", "size"))
        if level and size and kind != "Instruction" and size.endswith("K") and size[:-1].isdigit():
            found[f"L{level}{'d' if kind == 'Data' else ''}"] = int(size[:-1]) * 1024
    return dict(sorted(found.items(), key=lambda cache: cache[1]))


def _cpuinfo() -> dict[str, str]:
    """Return the first processor's entry in /proc/cpuinfo."""
    first = (_read(Path("/proc/cpuinfo")) or "").split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _threads_per_core() -> int | None:
    physical, logical = psutil.cpu_count(logical=False), psutil.cpu_count()
    return logical // physical if physical and logical else None


def _mitigations() -> dict[str, str]:
    if not _MITIGATIONS.is_dir():
        return {}
    return {file.name: _read(file) or "" for file in sorted(_MITIGATIONS.iterdir())}


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except (OSError, ValueError):  # ValueError: the file is not in UTF-8
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
