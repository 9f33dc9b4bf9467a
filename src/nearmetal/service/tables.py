"""A table of fixed size: from a key of fixed length to the number of its entry.

    entry = add(state.sources, source.addr, 0)
    if entry >= 0:
        state.counts[entry] += 1

Entries are numbered from 0 in the order in which keys are added; a removed entry is the next one
to be used again. What belongs to a key lies in arrays of the state, at the entry's number. Whether
a key finds room depends on nothing but the number of keys: the seed moves keys in memory only, so
that no one who does not know it can make many keys meet.

The functions are written in the subset that services use: the compiler takes them from here.
"""

from __future__ import annotations

from typing import ClassVar

from nearmetal.service.buffers import Array, Bytes
from nearmetal.service.bytewise import compare, copy
from nearmetal.service.hashing import keyed_hash

SEED_BYTES = 16
# Items of head.
KEYS, USED, FREE = 0, 1, 2
IN_USE = -1


def slot_count(capacity: int) -> int:
    """Return the number of slots: a power of two, at most half of which are taken."""
    return 1 << (2 * capacity - 1).bit_length()


class Table:
    """A table of the state."""

    PARTS: ClassVar = ("seed", "head", "keys", "links", "slots")
    __slots__ = PARTS

    def __init__(self, seed: Array, head: Array, keys: Array, links: Array, slots: Array) -> None:
        self.seed = seed
        self.head = head  # number of keys, of entries that were ever used, and first free entry + 1
        self.keys = keys  # of each entry
        self.links = links  # of each entry: IN_USE, or the next free entry + 1
        self.slots = slots  # entry + 1, or 0; a key is in the first slot of its hash, or behind it


def count(table: Table) -> int:
    """Return the number of keys."""
    return table.head[KEYS]


def first_slot(table: Table, data: Bytes, at: int) -> int:
    """Return where the search for a key begins, for `ahead(table.slots, ...)` in prepare."""
    key_bytes = len(table.keys) // len(table.links)
    return keyed_hash(table.seed, data, at, at + key_bytes) & (len(table.slots) - 1)


def find(table: Table, data: Bytes, at: int) -> int:
    """Return the entry of the key in data from `at` on; -1: it is not in the table."""
    key_bytes = len(table.keys) // len(table.links)
    slot = first_slot(table, data, at)
    for _ in range(len(table.slots)):
        entry = table.slots[slot] - 1
        if entry < 0:
            return -1
        if compare(table.keys, entry * key_bytes, data, at, at + key_bytes) == 0:
            return entry
        slot = (slot + 1) & (len(table.slots) - 1)
    return -1


def add(table: Table, data: Bytes, at: int) -> int:
    """Return the entry of the key in data from `at` on, added if it is new; -1: no room."""
    entry = find(table, data, at)
    if entry >= 0:
        return entry
    head = table.head
    if head[FREE] > 0:
        entry = head[FREE] - 1
        head[FREE] = table.links[entry]
    elif head[USED] < len(table.links):
        entry = head[USED]
        head[USED] = entry + 1
    else:
        return -1
    key_bytes = len(table.keys) // len(table.links)
    copy(table.keys, entry * key_bytes, data, at, at + key_bytes)
    table.links[entry] = IN_USE
    head[KEYS] = head[KEYS] + 1
    _place(table, entry)
    return entry


def remove(table: Table, entry: int) -> int:
    """Remove the key of an entry; return 1, or 0: the entry has none."""
    if entry < 0 or entry >= len(table.links) or table.links[entry] != IN_USE:
        return 0
    key_bytes = len(table.keys) // len(table.links)
    mask = len(table.slots) - 1
    hole = first_slot(table, table.keys, entry * key_bytes)
    while table.slots[hole] != entry + 1:
        hole = (hole + 1) & mask
    # Keys behind the hole move into it where they would not be found otherwise.
    slot = (hole + 1) & mask
    while table.slots[slot] > 0:
        home = first_slot(table, table.keys, (table.slots[slot] - 1) * key_bytes)
        if ((slot - home) & mask) >= ((slot - hole) & mask):
            table.slots[hole] = table.slots[slot]
            hole = slot
        slot = (slot + 1) & mask
    table.slots[hole] = 0
    table.links[entry] = table.head[FREE]
    table.head[FREE] = entry + 1
    table.head[KEYS] = table.head[KEYS] - 1
    return 1


def reindex(table: Table) -> int:
    """Fill the slots anew, after another seed was written; return the number of keys."""
    for slot in range(len(table.slots)):
        table.slots[slot] = 0
    for entry in range(table.head[USED]):
        if table.links[entry] == IN_USE:
            _place(table, entry)
    return table.head[KEYS]


def _place(table: Table, entry: int) -> int:
    """Write an entry into the first slot that is free for its key; return the slot."""
    key_bytes = len(table.keys) // len(table.links)
    slot = first_slot(table, table.keys, entry * key_bytes)
    while table.slots[slot] > 0:
        slot = (slot + 1) & (len(table.slots) - 1)
    table.slots[slot] = entry + 1
    return slot
