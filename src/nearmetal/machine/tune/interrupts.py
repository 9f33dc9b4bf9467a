"""Cores that take device interrupts, and receive processing moved between cores (RPS)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearmetal.machine.cores import cpus
from nearmetal.machine.cores.placement import Cores, in_words
from nearmetal.machine.tune.setting import Change, LacksError, State, may_write, text_of, writes

_NOWHERE = "all cores are measured: no other core is left for interrupts"


def affinities_of(root: Path) -> dict[Path, frozenset[int]]:
    """Map each interrupt's file to the cores that may take the interrupt."""
    files = sorted((root / "proc/irq").glob("[0-9]*/smp_affinity_list"))
    return {file: cpus.parse_list(text) for file in files if (text := text_of(file))}


def irqbalance(root: Path) -> bool:
    """Whether irqbalance runs, which moves interrupts."""
    names = (root / "proc").glob("[0-9]*/comm")
    return any(text_of(name) == "irqbalance" for name in names)


@dataclass(frozen=True)
class Irq:
    """The cores that may take interrupts (Documentation/core-api/irq/irq-affinity.rst)."""

    root: Path
    cores: Cores

    def read(self) -> State:
        affinities = affinities_of(self.root)
        if not affinities:
            return State("irq", None, "this machine shows no interrupt's cores in /proc/irq")
        measured = self.cores.quiet or {self.cores.sut, self.cores.tg}
        here = sum(bool(may & measured) for may in affinities.values())
        balanced = "irqbalance runs and may move them again" if irqbalance(self.root) else ""
        where = cpus.format_list(measured)
        return State("irq", f"{here} of {len(affinities)} may interrupt cores {where}", balanced)

    def changes(self, wanted: str) -> list[Change]:
        """Move interrupts off the measured cores and their threads, if need be to Python's."""
        assert wanted == "away"
        if not self.cores.quiet:
            raise LacksError(f"{_NOWHERE} ({in_words(self.cores)})")
        found = []
        for file, may in affinities_of(self.root).items():
            if may & self.cores.quiet:
                may_write(file)
                left = cpus.format_list(may - self.cores.quiet or self.cores.control)
                found.append(Change("value", str(file), left, text_of(file)))
        return found


@dataclass(frozen=True)
class Rps:
    """Cores for an interface's receive processing (Documentation/networking/scaling.rst)."""

    root: Path
    iface: str
    cores: Cores

    def read(self) -> State:
        masks = [text_of(file) for file in self._files()]
        if not masks:
            return State("rps", None, f"no interface {self.iface}, or it has no receive queue")
        on = frozenset[int]().union(*(cpus.parse_mask(mask) for mask in masks if mask))
        return State("rps", f"{self.iface}: {f'cores {cpus.format_list(on)}' if on else 'off'}")

    def changes(self, wanted: str) -> list[Change]:
        if (now := self.read()).value is None:
            raise LacksError(now.note)
        if wanted == "away" and not self.cores.quiet:
            raise LacksError(f"{_NOWHERE} ({in_words(self.cores)})")
        to = self.cores.control if wanted == "away" else frozenset[int]()
        files = [f for f in self._files() if cpus.parse_mask(text_of(f) or "") != to]
        return writes(files, cpus.format_mask(to))

    def _files(self) -> list[Path]:
        return sorted((self.root / "sys/class/net" / self.iface / "queues").glob("rx-*/rps_cpus"))
