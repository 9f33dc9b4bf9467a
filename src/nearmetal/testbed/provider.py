"""What the control plane asks of a testbed, whoever provides it.

Call order: acquire, then for each machine facts, deploy, run, fetch in any order, release at the
end, also after a failure. Nothing of this is in the timed path: generators and servers talk over
their data NICs, and what they count is read after the measured time.

Whatever fails raises NearmetalError: one line that names the machine and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nearmetal.machine.processes.process import Child


@dataclass(frozen=True)
class Host:
    """One that was acquired, and how it is reached."""

    name: str  # sut, tg1, tg2, ...: its name in the spec
    address: str  # of its control side
    ssh: tuple[str, ...] = ()  # the command line before what is run there; (): this machine

    @property
    def where(self) -> str:
        """For people."""
        return f"{self.name} ({self.address})"


@dataclass(frozen=True)
class Facts:
    """What decides how to deploy."""

    distribution: str  # ID and VERSION_ID of os-release
    machine: str  # uname -m
    cpu_flags: frozenset[str]
    cache: str  # our folder under its XDG cache
    is_root: bool = True  # who logs in
    may_sudo: bool = False  # without being asked for a password


@dataclass(frozen=True)
class Parcel:
    """What is deployed. The hash is of the content, so what is there already is not sent again."""

    archive: Path  # a tar file, compressed
    sha256: str


class Testbed(Protocol):
    """A back end."""

    def acquire(self) -> tuple[Host, ...]:
        """Every machine of the spec, reachable, in the spec's order."""

    def facts(self, machine: Host) -> Facts:
        """Ask a machine what it is."""

    def deploy(self, machine: Host, parcel: Parcel) -> str:
        """Put a parcel there, unpacked. Returns its folder on that machine."""

    def run(self, machine: Host, argv: Sequence[str]) -> Child:
        """Start a program there as root, that prints JSON lines and is told lines; it ends with
        us."""

    def fetch(self, machine: Host, path: str, to: Path) -> None:
        """Copy a file from there."""

    def release(self) -> None:
        """Give every machine back. May be called twice."""
