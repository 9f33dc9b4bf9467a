"""The table of fixed size, against a dictionary and a list of free entries."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nearmetal.service import State, add, count, find, first_slot, remove, table
from nearmetal.service.tables import Table, reindex, slot_count

CAPACITY = 5
KEYS = [bytes((65 + number, 1, 2)) for number in range(9)]
OPERATION = st.tuples(st.sampled_from(["add", "find", "remove", "reindex"]), st.sampled_from(KEYS))


class Named(State):
    """One table."""

    names = table(CAPACITY, key_bytes=3)


class Model:
    """The same as a dictionary."""

    def __init__(self) -> None:
        self.entries: dict[bytes, int] = {}
        self.used = 0
        self.free: list[int] = []

    def add(self, key: bytes) -> int:
        if key not in self.entries:
            if self.free:
                self.entries[key] = self.free.pop()
            elif self.used < CAPACITY:
                self.entries[key] = self.used
                self.used += 1
            else:
                return -1
        return self.entries[key]

    def remove(self, entry: int) -> int:
        for key, one in self.entries.items():
            if one == entry:
                del self.entries[key]
                self.free.append(entry)
                return 1
        return 0


@settings(deadline=None)
@given(st.lists(OPERATION, max_size=60), st.binary(min_size=16, max_size=16))
def test_it_does_as_a_dictionary_does(operations: list[tuple[str, bytes]], seed: bytes) -> None:
    state, model = Named(), Model()
    state.start(bytes(state.block), seed)
    names = state.names
    for number, (operation, key) in enumerate(operations):
        data = b"." + key + b"."
        if operation == "add":
            assert add(names, data, 1) == model.add(key)
        elif operation == "find":
            assert find(names, data, 1) == model.entries.get(key, -1)
        elif operation == "remove":
            entry = model.entries.get(key, number - 2)
            assert remove(names, entry) == model.remove(entry)
        else:
            again = Named()
            again.start(bytes(state.block), bytes(reversed(seed)))
            state, names = again, again.names
        assert count(names) == len(model.entries)
        assert_whole(names)
    for key in KEYS:
        assert find(names, key, 0) == model.entries.get(key, -1)


def assert_whole(names: Table) -> None:
    taken = [each for each in names.slots.items if each]
    assert len(taken) == len(set(taken)) == count(names)


def test_a_seed_moves_keys_but_not_their_entries() -> None:
    found, slots = set(), set()
    for number in range(8):
        state = Named()
        state.start(bytes(state.block), bytes([number] * 16))
        found.add(tuple(add(state.names, key, 0) for key in KEYS))
        slots.add(tuple(state.names.slots.items))
    assert found == {(0, 1, 2, 3, 4, -1, -1, -1, -1)}
    assert len(slots) > 1


def test_an_index_made_anew_is_the_same() -> None:
    state = Named()
    for key in KEYS[:4]:
        add(state.names, key, 0)
    assert reindex(state.names) == 4
    assert [find(state.names, key, 0) for key in KEYS[:5]] == [0, 1, 2, 3, -1]


def test_half_of_the_slots_at_most_are_taken() -> None:
    for capacity in (1, 2, 3, 4, 5, 1000, 4096):
        slots = slot_count(capacity)
        assert slots & (slots - 1) == 0
        assert 2 * capacity <= slots < 4 * capacity


def test_a_search_begins_within_the_slots() -> None:
    names = Named().names
    assert {first_slot(names, key, 0) for key in KEYS} <= set(range(len(names.slots)))
