"""The back end `local`: this machine acts as all machines. Without SSH, and nothing is copied."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from nearmetal.machine.processes.process import Child, Where
from nearmetal.paths import cache_dir, source_root
from nearmetal.testbed.provider import Facts, Host, Parcel


class LocalTestbed:
    """The contract of provider.py for this machine."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    def acquire(self) -> tuple[Host, ...]:
        return tuple(Host(name, "127.0.0.1") for name in self._names)

    def facts(self, machine: Host) -> Facts:
        del machine
        release = platform.freedesktop_os_release()
        flags = _cpu_flags(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        name = f"{release.get('ID', '')} {release.get('VERSION_ID', '')}"
        return Facts(name, platform.machine(), flags, str(cache_dir()))

    def deploy(self, machine: Host, parcel: Parcel) -> str:
        del machine, parcel
        return str(source_root())

    def run(self, machine: Host, argv: Sequence[str]) -> Child:
        del machine
        return Child(argv, Where(), talks=True)

    def fetch(self, machine: Host, path: str, to: Path) -> None:
        del machine
        shutil.copyfile(path, to)

    def release(self) -> None:
        """Do nothing: no machine was acquired."""


def _cpu_flags(cpuinfo: str) -> frozenset[str]:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.split())
    return frozenset()
