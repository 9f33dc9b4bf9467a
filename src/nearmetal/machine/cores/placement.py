"""Who gets which core: from the cores of a machine to one for each of a run's programs. Pure.

As in the paper: the server (of a guest, its vCPU), the generator (the client), the switch and the
VMM have a physical core each, on one NUMA node, where the machine has so many. Where it has fewer,
the first two come first, and what is shared is said in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_ROLES = 4


@dataclass(frozen=True)
class Cpu:
    """A hardware thread, as the kernel numbers them."""

    number: int
    node: int  # NUMA; where the kernel tells none, its package
    siblings: frozenset[int]  # threads of its physical core, itself among them


@dataclass(frozen=True)
class Cpus:
    """What there is to choose from."""

    cpus: tuple[Cpu, ...]  # that we may run on, by number
    isolated: frozenset[int] = frozenset()  # where the kernel puts nobody by itself

    def without_siblings(self) -> Cpus:
        """As with SMT off: the first thread of each physical core is left."""
        first = [cpu for cpu in self.cpus if cpu.number == min(cpu.siblings)]
        alone = tuple(replace(cpu, siblings=frozenset({cpu.number})) for cpu in first or self.cpus)
        return Cpus(alone, self.isolated)


@dataclass(frozen=True)
class Cores:
    sut: int  # the server and its receive processing; of a guest, its vCPU
    tg: int  # the generator
    switch: tuple[int, ...]  # pvp: where the switch polls; several where none is its own
    vmm: int  # of a guest: QEMU's threads that are no vCPU
    control: frozenset[int]  # Python: off the measured cores where there are others
    quiet: frozenset[int]  # what interrupts had better leave alone; empty where they cannot
    note: str  # what a reader of the result should know; "" when nothing
    shared: str  # which of the four share a core, in words; "" when none


def place(machine: Cpus) -> Cores:
    """Isolated cores first, then physical cores of one node, core 0 (interrupts) last."""
    assert machine.cpus
    by_number = {cpu.number: cpu for cpu in machine.cpus}
    every = frozenset(by_number)
    own = _one_a_core(machine)
    sut, threads = own[0], [number for number in sorted(every) if number != own[0]]
    tg = own[1] if len(own) > 1 else threads[0] if threads else sut
    rest = sorted(every - {sut, tg})
    switch = (own[2],) if len(own) > 2 else tuple(rest or sorted({sut, tg}))
    vmm = own[min(3, len(own) - 1)] if len(own) > 2 else _beside(by_number[sut], rest)
    roles = {"server": (sut,), "generator": (tg,), "switch": switch, "VMM": (vmm,)}
    polled = {sut, tg, *switch, vmm}
    control = _control(by_number, sut, tg, switch, vmm)
    around = frozenset().union(*(by_number[number].siblings for number in polled))
    return Cores(
        sut=sut,
        tg=tg,
        switch=switch,
        vmm=vmm,
        control=control,
        quiet=frozenset() if control & {sut, tg} else (around & every) - control,
        note=_note(by_number[sut], by_number[tg]),
        shared="; ".join(_sharing(by_number, roles)),
    )


def in_words(cores: Cores) -> str:
    """One line: which core is whose."""
    switch = ", ".join(map(str, cores.switch))
    return (
        f"server or vCPU on core {cores.sut}, client on core {cores.tg}, switch on"
        f" {'core' if len(cores.switch) == 1 else 'cores'} {switch}, VMM on core {cores.vmm}"
    )


def _one_a_core(machine: Cpus) -> list[int]:
    """A thread of each physical core, best first: those of the node that has the most to give."""
    cores: dict[frozenset[int], list[Cpu]] = {}
    for cpu in machine.cpus:
        cores.setdefault(cpu.siblings, []).append(cpu)

    def rank(cpu: Cpu) -> tuple[bool, bool, int]:
        return cpu.number not in machine.isolated, cpu.number == 0, cpu.number

    chosen = [min(threads, key=rank) for threads in cores.values()]
    if len(machine.cpus) <= 2:  # nothing to choose: keep the numbers easy to remember
        return sorted(cpu.number for cpu in chosen)
    nodes: dict[int, list[Cpu]] = {}
    for cpu in chosen:
        nodes.setdefault(cpu.node, []).append(cpu)

    def worth(node: int) -> tuple[int, int, int]:
        isolated = sum(cpu.number in machine.isolated for cpu in nodes[node])
        free = sum(0 not in cpu.siblings for cpu in nodes[node])
        return -min(_ROLES, isolated), -min(_ROLES, free), node

    ranked: list[int] = []
    for node in sorted(nodes, key=worth):
        best = sorted(nodes[node], key=lambda cpu: (rank(cpu)[0], 0 in cpu.siblings, cpu.number))
        ranked += [cpu.number for cpu in best]
    return ranked


def _beside(sut: Cpu, rest: Iterable[int]) -> int:
    """Where two cores are all: the VMM's work is the server's, so it is done on its core."""
    return min(sut.siblings & frozenset(rest), default=sut.number)


def _control(
    by_number: dict[int, Cpu], sut: int, tg: int, switch: tuple[int, ...], vmm: int
) -> frozenset[int]:
    """Off all four and their threads, if that leaves any; else off fewer."""
    polled = {sut, tg, *switch}
    for avoided in (
        frozenset().union(*(by_number[number].siblings for number in polled | {vmm})),
        frozenset().union(*(by_number[number].siblings for number in polled)),
        frozenset(polled),
        frozenset({sut, tg}),
    ):
        if left := frozenset(by_number) - avoided:
            return left
    return frozenset({tg})


def _note(sut: Cpu, tg: Cpu) -> str:
    if sut.number == tg.number:
        return "shared core: server and generator have one between them"
    if tg.number in sut.siblings:
        return "shared core: server and generator are threads of one"
    if sut.node != tg.node:
        return "two NUMA nodes: server and generator are on different ones"
    return ""


def _sharing(by_number: dict[int, Cpu], roles: dict[str, tuple[int, ...]]) -> Iterator[str]:
    on: dict[frozenset[int], dict[str, set[int]]] = {}  # of each physical core: who, on which
    for role, numbers in roles.items():
        for number in numbers:
            on.setdefault(by_number[number].siblings, {}).setdefault(role, set()).add(number)
    for core in sorted(on, key=min):
        *first, last = on[core]
        if first:
            used = sorted(set().union(*on[core].values()))
            threads = f"threads {', '.join(map(str, used))} of one core"
            where = f"core {used[0]}" if len(used) == 1 else threads
            yield f"{', '.join(first)} and {last} share {where}"
    home = by_number[roles["server"][0]].node
    away = [name for name, cpus in roles.items() if any(by_number[n].node != home for n in cpus)]
    if away:
        yield f"{' and '.join(away)} on another NUMA node than the server"
