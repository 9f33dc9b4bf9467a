"""The state's first bytes in an object: what is not zero, in read-only data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nearmetal.service.state import Layout
from nearmetal.service.tables import SEED_BYTES

_SHORT_GAP = 64  # zeros between two extents that are kept: an extent costs 24 bytes itself
_NOT_ZERO = re.compile(rb"[^\0]+(?:\0{1,%d}[^\0]+)*" % _SHORT_GAP)


@dataclass(frozen=True)
class Extent:
    """Some bytes of a block."""

    at: int
    data: bytes


def extents(layout: Layout, block: bytes | bytearray) -> tuple[Extent, ...]:
    """Return what differs from zeros in a block, without what each start writes anew."""
    kept = bytearray(block)
    for at, nb_bytes in _written_at_start(layout):
        kept[at : at + nb_bytes] = bytes(nb_bytes)
    return tuple(Extent(found.start(), found[0]) for found in _NOT_ZERO.finditer(kept))


def _written_at_start(layout: Layout) -> Iterator[tuple[int, int]]:
    """Return the ranges of seeds, and of a table's slots, which depend on its seed."""
    for at in layout.seed_offsets:
        yield at, SEED_BYTES
    for table in layout.tables:
        slots = layout.place(f"{table.name}.slots")
        assert slots is not None
        yield slots.offset_bytes, slots.nb_bytes
