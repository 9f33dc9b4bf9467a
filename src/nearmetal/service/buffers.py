"""The bytes and arrays that a service reads and writes, as CPython has them.

Loads give Python's integers; a store keeps the low bits that fit, as a store in memory does. An
index outside is an IndexError; a negative one counts from the end, as in Python. Slices are not
offered: `copy` and the other functions of bytewise.py take positions instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Protocol


class Bytes(Protocol):
    """Bytes that can be read."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> int: ...


class Room(Bytes, Protocol):
    """Bytes that can also be written: the reply, and arrays of u8."""

    def __setitem__(self, index: int, value: int, /) -> None: ...


# The UDP payload: a copy that no peer can change while it is answered.
Request = bytes


class Reply(bytearray):
    """Room for the reply: zeros at first, and as long as the reply may be."""

    __slots__ = ()

    def __setitem__(self, index: int, value: int) -> None:  # type: ignore[override]
        if isinstance(index, slice):
            _no_slices()
        super().__setitem__(index, value & 0xFF)


class Array:
    """An array of the state: a fixed number of integers of one kind."""

    __slots__ = ("_bias", "_mask", "items")

    def __init__(self, items: memoryview, *, signed: bool) -> None:
        self.items = items  # cast to the array's kind
        bits = 8 * items.itemsize
        self._mask = (1 << bits) - 1
        self._bias = 1 << (bits - 1) if signed else 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int, /) -> int:
        value: int = self.items[index]
        return value

    def __setitem__(self, index: int, value: int, /) -> None:
        if isinstance(index, slice):
            _no_slices()
        self.items[index] = ((value + self._bias) & self._mask) - self._bias


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request came from."""

    addr: bytes  # 16 bytes, network order; IPv4 as ::ffff:a.b.c.d
    port: int


def _no_slices() -> NoReturn:
    raise TypeError("a slice cannot be assigned; use copy(to, at, data, begin, end)")
