"""Placement: choose one of the machine's cores for each program of a run. Pure functions.

As in the paper, the server (for a guest: its vCPU), the generator (the client), the switch and the
VMM get one physical core each, all on one NUMA node, if the machine has enough cores. With fewer
cores, the server and the generator are placed first, and the result says which programs share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

_ROLES = 4


@dataclass(frozen=True)
class Cpu:
    """One hardware thread, with the kernel's number."""

    number: int
    node: int  # NUMA node; the package if the kernel reports no nodes
    siblings: frozenset[int]  # all threads of the physical core, this one included


@dataclass(frozen=True)
class Cpus:
    """The cores that placement chooses from."""

    cpus: tuple[Cpu, ...]  # cores that this process may use, in order of their numbers
    isolated: frozenset[int] = frozenset()  # cores that the scheduler does not use by itself

    def without_siblings(self) -> Cpus:
        """Return the cores that are left with SMT off: the first thread of each physical core."""
        first = [cpu for cpu in self.cpus if cpu.number == min(cpu.siblings)]
        alone = tuple(replace(cpu, siblings=frozenset({cpu.number})) for cpu in first or self.cpus)
        return Cpus(alone, self.isolated)


@dataclass(frozen=True)
class Cores:
    sut: int  # the server and its receive processing; for a guest: its vCPU
    tg: int  # the generator
    switch: tuple[int, ...]  # pvp: polled by the switch; several if it has no core of its own
    vmm: int  # for a guest: QEMU's threads other than the vCPU
    control: frozenset[int]  # Python; not on measured cores if there are other cores
    quiet: frozenset[int]  # cores to keep free of interrupts; empty if that is not possible
    note: str  # caveat for readers of the result, or ""
    shared: str  # which of the four programs share a core, in words, or ""


def place(machine: Cpus) -> Cores:
    """Choose isolated cores first, then physical cores of one node; core 0 (interrupts) last."""
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
    """Describe the placement in one line."""
    switch = ", ".join(map(str, cores.switch))
    return (
        f"server or vCPU on core {cores.sut}, client on core {cores.tg}, switch on"
        f" {'core' if len(cores.switch) == 1 else 'cores'} {switch}, VMM on core {cores.vmm}"
    )


def _one_a_core(machine: Cpus) -> list[int]:
    """Return one thread of each physical core, best first; the node with most free cores first."""
    cores: dict[frozenset[int], list[Cpu]] = {}
    for cpu in machine.cpus:
        cores.setdefault(cpu.siblings, []).append(cpu)

    def rank(cpu: Cpu) -> tuple[bool, bool, int]:
        return cpu.number not in machine.isolated, cpu.number == 0, cpu.number

    chosen = [min(threads, key=rank) for threads in cores.values()]
    if len(machine.cpus) <= 2:  # no choice: keep the order of the numbers
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
    """Return the VMM's core on a machine with two cores: near the server, whose work it does."""
    return min(sut.siblings & frozenset(rest), default=sut.number)


def _control(
    by_number: dict[int, Cpu], sut: int, tg: int, switch: tuple[int, ...], vmm: int
) -> frozenset[int]:
    """Return the cores for Python: not the four programs' cores and siblings, if others exist."""
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
        return "shared core: server and generator use the same core"
    if tg.number in sut.siblings:
        return "shared core: server and generator use threads of one core"
    if sut.node != tg.node:
        return "two NUMA nodes: server and generator use different ones"
    return ""


def _sharing(by_number: dict[int, Cpu], roles: dict[str, tuple[int, ...]]) -> Iterator[str]:
    on: dict[frozenset[int], dict[str, set[int]]] = {}  # physical core -> role -> its threads
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
        yield f"{' and '.join(away)} on a different NUMA node than the server"
