"""The contract between the control plane and a testbed's back end.

Call order: acquire, then for each machine facts, deploy, run, fetch in any order; release at the
end, also after a failure. None of these calls is in the timed path: generators and servers
communicate over their data NICs, and their counters are read after the measured time.

A failure raises NearmetalError: one line that names the machine and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nearmetal.machine.processes.process import Child


@dataclass(frozen=True)
class Host:
    """An acquired machine, and how to reach it."""

    name: str  # its name in the spec: sut, tg1, tg2, ...
    address: str  # of its control interface
    ssh: tuple[str, ...] = ()  # ssh's command line, before the remote one; (): this machine

    @property
    def where(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self.address})"


@dataclass(frozen=True)
class Facts:
    """The facts about a machine that decide how to deploy."""

    distribution: str  # ID and VERSION_ID of os-release
    machine: str  # uname -m
    cpu_flags: frozenset[str]
    cache: str  # our folder in its XDG cache
    is_root: bool = True  # whether the login is root's
    may_sudo: bool = False  # without a password


@dataclass(frozen=True)
class Parcel:
    """Files to deploy. The hash is of the content, so a parcel that is there is not sent again."""

    archive: Path  # a compressed tar file
    sha256: str


class Testbed(Protocol):
    """A back end."""

    def acquire(self) -> tuple[Host, ...]:
        """Return all machines of the spec, reachable, in the spec's order."""

    def facts(self, machine: Host) -> Facts:
        """Read the facts of a machine."""

    def deploy(self, machine: Host, parcel: Parcel) -> str:
        """Unpack a parcel on a machine. Return its folder there."""

    def run(self, machine: Host, argv: Sequence[str]) -> Child:
        """Start a program as root that prints JSON lines and reads lines; it ends with us."""

    def fetch(self, machine: Host, path: str, to: Path) -> None:
        """Copy a file from a machine."""

    def release(self) -> None:
        """Give all machines back. May be called twice."""
