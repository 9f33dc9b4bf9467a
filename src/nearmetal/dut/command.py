"""What it takes to start the DUT of a row, whatever its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nearmetal.machine.vm.qemu import Machine
from nearmetal.spec.rungs import Rung
from nearmetal.topology import known
from nearmetal.topology.standing import Topology


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


def options(rung: Rung, topology: Topology, memory_bytes: int, port: int) -> list[str]:
    """Of a DUT of ours: it answers the generator's subnet and nobody else."""
    argv = ["--listen", f"{topology.sut_addr}:{port}", "--memory", str(memory_bytes)]
    for right in ("--allow", "--admin", "--trusted"):
        argv += [right, topology.subnet]
    argv += rung.options()
    if rung.hugepages and topology.hugepages_bytes:
        argv.append("--hugepages")
    # Who looks at a ring does not sleep while it is measured, as testpmd does not; who waits for a
    # socket is woken.
    polls = rung.uses is not None and rung.uses.turn == "polls"
    if known.find(topology.wire).shares_memory and polls:
        argv.append("--poll")
    return argv
