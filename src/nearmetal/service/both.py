"""The functions of a service that both worlds have, by name.

INTRINSIC: the compiler has code of its own for each, which must behave as the one here. COMPILED:
written in the subset, so the compiler takes them as they are.
"""

from __future__ import annotations

from collections.abc import Callable

from nearmetal.service import bytewise, hashing, tables

INTRINSIC: dict[str, Callable[..., object]] = {
    each.__name__: each
    for each in (
        bytewise.copy,
        bytewise.fill,
        bytewise.compare,
        bytewise.load16,
        bytewise.load32,
        bytewise.load64,
        bytewise.store16,
        bytewise.store32,
        bytewise.store64,
        bytewise.ahead,
        hashing.keyed_hash,
    )
}
COMPILED: dict[str, Callable[..., object]] = {
    each.__name__: each
    for each in (
        tables.count,
        tables.first_slot,
        tables.find,
        tables.add,
        tables.remove,
        tables.reindex,
    )
}
HELPERS = INTRINSIC | COMPILED
