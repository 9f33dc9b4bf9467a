"""Start a DUT at any place: the request (Launch), and the resulting command line (Command).

Each place has a module that makes a Command from a Launch (places.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from nearmetal.build.programs import Program
from nearmetal.kv.admission import LOOPBACK
from nearmetal.machine.vm.qemu import Machine
from nearmetal.samples import Accelerator
from nearmetal.spec.programs import program_of
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology.standing import Topology


@dataclass(frozen=True)
class Launch:
    """A DUT to start: its row, its options, and its wire."""

    rung: Rung
    service: Service
    programs: Mapping[str, Program]  # its own program, and the programs that start it
    topology: Topology | None  # None: kernel sockets in this process's network namespace
    listen: str  # ADDR:PORT
    memory_bytes: int
    allow: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    poll: bool = False  # never sleep
    every_s: int = 0  # interval of counters lines in seconds; 0: only the last line
    more: tuple[str, ...] = ()  # further options, passed on unchanged
    accelerator: Accelerator | None = None  # for a virtual machine
    cpus: tuple[int, ...] = ()  # cores that DPDK's threads may use; empty: the SUT's core

    @property
    def program(self) -> Program:
        """The program that answers: a server or an image."""
        return self.programs[program_of(self.rung, self.service)]

    @property
    def image(self) -> Path:
        """The file of the program or image."""
        return Path(self.program.path)

    @property
    def address(self) -> str:
        """The address in `listen`."""
        return self.listen.rpartition(":")[0]

    @property
    def port(self) -> int:
        """The port in `listen`."""
        return int(self.listen.rpartition(":")[2])

    def words(self) -> list[str]:
        """Return the options of any of our DUTs (docs/programs.md).

        Every value is given, except the seed of its hash, which must be random.
        """
        argv = ["--listen", self.listen, "--memory", str(self.memory_bytes)]
        for option, networks in self._sources():
            for network in networks:
                argv += [f"--{option}", network]
        argv += self.rung.options()
        if self.rung.hugepages and self.topology is not None and self.topology.hugepages_bytes:
            argv.append("--hugepages")
        argv += ["--poll"] if self.poll else []
        return [*argv, "--every", str(self.every_s), *self.more]

    def _sources(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the admission options and their networks.

        Only loopback is admitted without --allow: on another address the DUT refuses to start
        without it.
        """
        allow = self.allow or (LOOPBACK if is_loopback(self.address) else ())
        yield "allow", allow
        yield "admin", self.admin or LOOPBACK
        yield "trusted", self.trusted or allow


@dataclass(frozen=True)
class Command:
    """A command line, and the output that the program gives about itself."""

    argv: tuple[str, ...]  # empty where a virtual machine is started
    says_ready: bool  # prints the ready and final lines of docs/programs.md
    asks_stats: bool = False  # the trial queries evictions with `stats`
    store_budget_bytes: int | None = None  # set where the ready line does not have it
    # How a poller reports its turns: counters lines on SIGUSR1, or testpmd's own statistics.
    turns: Literal["", "counters", "testpmd"] = ""
    answers_arp: bool = True
    machine: Machine | None = None
    # Addresses of the server and of the generator where they differ from the wire's.
    address: str | None = None
    source: str | None = None


def is_loopback(address: str) -> bool:
    """Whether the ADDR of --listen is loopback; False for bad input, which the program refuses."""
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
