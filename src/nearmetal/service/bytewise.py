"""Functions on ranges of bytes, for CPython; the compiler has its own of the same names.

A range that is not inside its bytes is an IndexError, and nothing is written then. Numbers are big
endian, as on the wire.
"""

from __future__ import annotations

from nearmetal.service.buffers import Array, Bytes, Reply, Room


def copy(to: Room, at: int, data: Bytes, begin: int, end: int) -> int:
    """Copy data[begin:end] to `to` from `at` on; return the position behind it.

    The two may overlap. IndexError: a range is not inside.
    """
    behind = _inside(to, at, at + _length(data, begin, end))
    _written(to)[at:behind] = _read(data)[begin:end]
    return behind


def fill(to: Room, begin: int, end: int, value: int) -> int:
    """Set to[begin:end] to a byte; return the position behind it. IndexError: not inside."""
    _inside(to, begin, end)
    _written(to)[begin:end] = bytes((value & 0xFF,)) * (end - begin)
    return end


def compare(one: Bytes, at: int, other: Bytes, begin: int, end: int) -> int:
    """Compare other[begin:end] with as many bytes of `one` from `at` on.

    Return 0: equal; -1: those of one are smaller, as in a dictionary; 1: larger. IndexError: a
    range is not inside.
    """
    behind = _inside(one, at, at + _length(other, begin, end))
    left, right = bytes(_read(one)[at:behind]), bytes(_read(other)[begin:end])
    return (left > right) - (left < right)


def load16(data: Bytes, at: int) -> int:
    """Return the unsigned number in two bytes. IndexError: not inside."""
    return int.from_bytes(_read(data)[at : _inside(data, at, at + 2)], "big")


def load32(data: Bytes, at: int) -> int:
    """Return the unsigned number in four bytes. IndexError: not inside."""
    return int.from_bytes(_read(data)[at : _inside(data, at, at + 4)], "big")


def load64(data: Bytes, at: int) -> int:
    """Return the signed number in eight bytes. IndexError: not inside."""
    return int.from_bytes(_read(data)[at : _inside(data, at, at + 8)], "big", signed=True)


def store16(to: Room, at: int, value: int) -> int:
    """Write the low 16 bits of a number; return the position behind it. IndexError: not inside."""
    return _store(to, at, value, 2)


def store32(to: Room, at: int, value: int) -> int:
    """Write the low 32 bits of a number; return the position behind it. IndexError: not inside."""
    return _store(to, at, value, 4)


def store64(to: Room, at: int, value: int) -> int:
    """Write the 64 bits of a number; return the position behind it. IndexError: not inside."""
    return _store(to, at, value, 8)


def ahead(array: Array, index: int) -> None:
    """Fetch the cache line of array[index] for a later answer; an index outside does nothing.

    In CPython this does nothing.
    """


def readable(data: Bytes, begin: int, end: int) -> bytes | bytearray | memoryview:
    """Return data[begin:end]. IndexError: not inside."""
    _inside(data, begin, end)
    return _read(data)[begin:end]


def _store(to: Room, at: int, value: int, nb_bytes: int) -> int:
    behind = _inside(to, at, at + nb_bytes)
    bits = value & ((1 << (8 * nb_bytes)) - 1)
    _written(to)[at:behind] = bits.to_bytes(nb_bytes, "big")
    return behind


def _inside(data: Bytes, begin: int, end: int) -> int:
    """Check that 0 <= begin <= end <= len(data); return end."""
    if not 0 <= begin <= end <= len(data):
        raise IndexError(f"bytes {begin} to {end} of {len(data)}")
    return end


def _length(data: Bytes, begin: int, end: int) -> int:
    return _inside(data, begin, end) - begin


def _read(data: Bytes) -> bytes | bytearray | memoryview:
    if isinstance(data, Array):
        return _of_bytes(data)
    assert isinstance(data, bytes | bytearray)
    return data


def _written(to: Room) -> memoryview:
    if isinstance(to, Array):
        return _of_bytes(to)
    assert isinstance(to, Reply)
    return memoryview(to)


def _of_bytes(array: Array) -> memoryview:
    if array.items.format != "B":
        raise TypeError("this function needs an array of u8")
    return array.items
