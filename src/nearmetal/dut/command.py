"""Starting a DUT at any place: the request (Launch), and the command line that follows from it
(Command). Each place has a module that makes a Command of a Launch (places.py).
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
    """A DUT that is to be started: its row, what it is told, and where it stands."""

    rung: Rung
    service: Service
    programs: Mapping[str, Program]  # its own, and what starts it
    topology: Topology | None  # None: sockets of the kernel that we are in
    listen: str  # ADDR:PORT
    memory_bytes: int
    allow: tuple[str, ...] = ()
    admin: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    poll: bool = False  # never sleep
    every_s: int = 0  # a line of counters so often; 0: none but the last
    more: tuple[str, ...] = ()  # further options, as they are
    accelerator: Accelerator | None = None  # of a virtual machine
    cpus: tuple[int, ...] = ()  # where threads of DPDK may run; none: on the SUT's core

    @property
    def program(self) -> Program:
        """What answers: a server, or an image."""
        return self.programs[program_of(self.rung, self.service)]

    @property
    def image(self) -> Path:
        """The file of it."""
        return Path(self.program.path)

    @property
    def address(self) -> str:
        """Of `listen`."""
        return self.listen.rpartition(":")[0]

    @property
    def port(self) -> int:
        """Of `listen`."""
        return int(self.listen.rpartition(":")[2])

    def words(self) -> list[str]:
        """The options of any DUT of ours (docs/programs.md); no value is left to a default but the
        seed of its hash, which is to be random."""
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
        """Options and their networks. Only loopback is admitted without being named: elsewhere the
        DUT refuses to start."""
        allow = self.allow or (LOOPBACK if is_loopback(self.address) else ())
        yield "allow", allow
        yield "admin", self.admin or LOOPBACK
        yield "trusted", self.trusted or allow


@dataclass(frozen=True)
class Command:
    """A command line, and how the program behind it lets itself be known."""

    argv: tuple[str, ...]  # none, where a machine is started
    says_ready: bool  # prints the ready and final lines of docs/programs.md
    asks_stats: bool = False  # evictions are asked for with `stats`
    store_budget_bytes: int | None = None  # where the ready line does not tell
    # How a poller tells its turns: counters lines on SIGUSR1, or testpmd's own words.
    turns: Literal["", "counters", "testpmd"] = ""
    answers_arp: bool = True
    machine: Machine | None = None
    # Where they are not the wire's: who answers, and who asks.
    address: str | None = None
    source: str | None = None


def is_loopback(address: str) -> bool:
    """Of the ADDR of --listen; what is no address is the program's to refuse."""
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
