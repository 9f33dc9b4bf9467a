"""Placement on cores: a core each if there are four, otherwise a note on what is shared."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from nearmetal.machine.cores import cpus
from nearmetal.machine.cores.placement import Cores, Cpu, Cpus, in_words, place


def machine(
    nodes: int, cores: int, threads: int = 1, isolated: frozenset[int] = frozenset()
) -> Cpus:
    """Make the cores; second threads are numbered after all first ones, as on most machines."""
    whole = nodes * cores
    made = [
        Cpu(
            number=cpu,
            node=cpu % whole // cores,
            siblings=frozenset(cpu % whole + whole * thread for thread in range(threads)),
        )
        for cpu in range(whole * threads)
    ]
    return Cpus(tuple(made), isolated)


def four(cores: Cores) -> tuple[int, int, tuple[int, ...], int]:
    return cores.sut, cores.tg, cores.switch, cores.vmm


def test_four_cores_are_one_each_as_in_the_paper() -> None:
    cores = place(machine(1, 4))
    assert four(cores) == (1, 2, (3,), 0)
    assert (cores.control, cores.note, cores.shared) == ({0}, "", "")
    assert in_words(cores) == (
        "server or vCPU on core 1, client on core 2, switch on core 3, VMM on core 0"
    )


def test_five_leave_core_0_to_the_system() -> None:
    cores = place(machine(1, 5))
    assert four(cores) == (1, 2, (3,), 4)
    assert (cores.control, cores.quiet) == ({0}, {1, 2, 3, 4})


def test_the_measured_threads_have_whole_cores() -> None:
    cores = place(machine(1, 6, threads=2))
    assert four(cores) == (1, 2, (3,), 4)
    assert cores.control == {0, 5, 6, 11}
    assert cores.quiet == {1, 2, 3, 4, 7, 8, 9, 10}


def test_one_node_has_them_all() -> None:
    cores = place(machine(2, 4))
    assert four(cores) == (4, 5, (6,), 7)  # the node without core 0
    assert cores.control == {0, 1, 2, 3}
    assert four(place(machine(2, 8))) == (1, 2, (3,), 4)


def test_isolated_cores_decide_the_node() -> None:
    cores = place(machine(2, 8, isolated=frozenset({12, 13, 14, 15})))
    assert four(cores) == (12, 13, (14,), 15)


def test_a_small_node_takes_of_another_and_says_so() -> None:
    cores = place(machine(2, 2))
    assert four(cores) == (2, 3, (1,), 0)
    assert cores.note == ""
    assert cores.shared == "switch and VMM on a different NUMA node than the server"
    assert place(machine(2, 1)).note == "two NUMA nodes: server and generator use different ones"


def test_three_cores_share_the_third() -> None:
    cores = place(machine(1, 3))
    assert four(cores) == (1, 2, (0,), 0)
    assert cores.shared == "switch and VMM share core 0"
    assert cores.control == {0}


def test_two_cores_are_as_they_were() -> None:
    cores = place(machine(1, 2))
    assert four(cores) == (0, 1, (0, 1), 0)
    assert (cores.control, cores.quiet, cores.note) == ({1}, set(), "")
    assert cores.shared == (
        "server, switch and VMM share core 0; generator and switch share core 1"
    )


def test_two_cores_with_two_threads_each() -> None:
    cores = place(machine(1, 2, threads=2))
    assert four(cores) == (1, 2, (0, 3), 3)
    assert cores.control == {0, 3}
    assert "server, switch and VMM share threads 1, 3 of one core" in cores.shared
    assert four(place(machine(1, 2, threads=2).without_siblings())) == (0, 1, (0, 1), 0)


def test_one_core_is_shared_by_all() -> None:
    cores = place(machine(1, 1))
    assert four(cores) == (0, 0, (0,), 0)
    assert cores.note == "shared core: server and generator use the same core"
    assert (
        place(machine(1, 1, threads=2)).note
        == "shared core: server and generator use threads of one core"
    )


@given(
    st.integers(1, 3), st.integers(1, 6), st.integers(1, 2), st.frozensets(st.integers(0, 11)),
    st.data(),
)  # fmt: skip
def test_on_any_machine(
    nodes: int, cores: int, threads: int, isolated: frozenset[int], data: st.DataObject
) -> None:
    whole = machine(nodes, cores, threads, isolated)
    some = data.draw(st.sets(st.sampled_from(whole.cpus), min_size=1))
    there = Cpus(tuple(sorted(some, key=lambda cpu: cpu.number)), isolated)
    chosen = place(there)
    numbers = {cpu.number for cpu in there.cpus}
    of = {cpu.number: cpu for cpu in there.cpus}
    used = [chosen.sut, chosen.tg, *chosen.switch, chosen.vmm]
    assert set(used) | chosen.control | chosen.quiet <= numbers
    assert chosen.control and not chosen.control & chosen.quiet
    assert (chosen.sut == chosen.tg) == (len(numbers) == 1)
    physical = {cpu.siblings for cpu in there.cpus}
    if len(physical) >= 4:
        assert len({of[number].siblings for number in used}) == 4
        assert "share" not in chosen.shared
    else:
        assert "share" in chosen.shared
    free = Counter(cpu.node for cpu in one_each(there) if 0 not in cpu.siblings)
    if not isolated and max(free.values(), default=0) >= 4:
        assert len({of[number].node for number in used}) == 1


def one_each(there: Cpus) -> list[Cpu]:
    """Return one thread of each physical core."""
    return list({cpu.siblings: cpu for cpu in there.cpus}.values())


NUMBERS = st.frozensets(st.integers(0, 300))


@given(NUMBERS)
def test_lists_and_masks_read_back(numbers: frozenset[int]) -> None:
    assert cpus.parse_list(cpus.format_list(numbers)) == numbers
    assert cpus.parse_mask(cpus.format_mask(numbers)) == numbers
    assert all(len(word) == 8 for word in cpus.format_mask(numbers).split(","))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=8))
def test_lists_in_any_order_and_overlapping(spans: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}" if more else str(first) for first, more in spans)
    every = {n for first, more in spans for n in range(first, first + more + 1)}
    assert cpus.parse_list(f"{text}\n") == every


def test_lists_are_short() -> None:
    assert cpus.format_list({0, 1, 2, 5, 7, 8}) == "0-2,5,7-8"
    assert cpus.format_mask({0, 33}) == "00000002,00000001"
    assert cpus.parse_mask("f") == {0, 1, 2, 3}
