"""Functions on ranges of bytes, against slices and struct."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearmetal.service import Bytes, Reply, State, array, u8, u16
from nearmetal.service import bytewise as does
from nearmetal.service.buffers import Room

POSITION = st.integers(-3, 12)
DATA = st.binary(max_size=8)


class Arrays(State):
    """Bytes of a state, and an array that has none."""

    octets = array(u8, 8)
    wide = array(u16, 8)


@settings(deadline=None)
@given(DATA, DATA, POSITION, POSITION, POSITION)
def test_copy_is_a_slice_or_an_error(to: bytes, data: bytes, at: int, begin: int, end: int) -> None:
    room = Reply(to)
    if 0 <= begin <= end <= len(data) and at >= 0 and at + end - begin <= len(to):
        assert does.copy(room, at, data, begin, end) == at + end - begin
        assert bytes(room) == to[:at] + data[begin:end] + to[at + end - begin :]
    else:
        with pytest.raises(IndexError):
            does.copy(room, at, data, begin, end)
        assert bytes(room) == to


@settings(deadline=None)
@given(DATA, DATA, POSITION, POSITION, POSITION)
def test_compare_orders_as_bytes_do(
    one: bytes, other: bytes, at: int, begin: int, end: int
) -> None:
    if 0 <= begin <= end <= len(other) and at >= 0 and at + end - begin <= len(one):
        left, right = one[at : at + end - begin], other[begin:end]
        expected = (left > right) - (left < right)
        assert does.compare(one, at, other, begin, end) == expected
    else:
        with pytest.raises(IndexError):
            does.compare(one, at, other, begin, end)


@settings(deadline=None)
@given(DATA, POSITION, POSITION, st.integers(-300, 300))
def test_fill_sets_each_byte(to: bytes, begin: int, end: int, value: int) -> None:
    room = Reply(to)
    if 0 <= begin <= end <= len(to):
        assert does.fill(room, begin, end, value) == end
        assert bytes(room) == to[:begin] + bytes([value % 256] * (end - begin)) + to[end:]
    else:
        with pytest.raises(IndexError):
            does.fill(room, begin, end, value)
        assert bytes(room) == to


@pytest.mark.parametrize(
    ("load", "store", "format_"),
    [
        (does.load16, does.store16, ">H"),
        (does.load32, does.store32, ">I"),
        (does.load64, does.store64, ">q"),
    ],
)
@settings(deadline=None)
@given(st.binary(min_size=0, max_size=12), POSITION, st.integers(-(2**63), 2**63 - 1))
def test_numbers_are_big_endian(
    load: Callable[[Bytes, int], int],
    store: Callable[[Room, int, int], int],
    format_: str,
    data: bytes,
    at: int,
    value: int,
) -> None:
    size = struct.calcsize(format_)
    room = Reply(data)
    if at >= 0 and at + size <= len(data):
        assert (load(data, at),) == struct.unpack_from(format_, data, at)
        assert store(room, at, value) == at + size
        low = value % 2 ** (8 * size)
        assert bytes(room) == data[:at] + low.to_bytes(size, "big") + data[at + size :]
        assert load(room, at) % 2 ** (8 * size) == low
    else:
        with pytest.raises(IndexError):
            load(data, at)
        with pytest.raises(IndexError):
            store(room, at, value)
        assert bytes(room) == data


def test_what_overlaps_is_copied_as_it_was() -> None:
    room = Reply(b"abcdefgh")
    does.copy(room, 2, room, 0, 6)
    assert bytes(room) == b"ababcdef"
    octets = Arrays().octets
    does.copy(octets, 0, b"abcdefgh", 0, 8)
    does.copy(octets, 0, octets, 2, 8)
    assert bytes(octets.items) == b"cdefghgh"


def test_an_array_must_be_one_of_bytes() -> None:
    with pytest.raises(TypeError, match="an array of u8"):
        does.copy(Arrays().wide, 0, b"ab", 0, 2)
    with pytest.raises(TypeError, match="an array of u8"):
        does.load16(Arrays().wide, 0)


def test_a_reply_keeps_the_low_bits_and_its_length() -> None:
    reply = Reply(2)
    reply[0], reply[-1] = 256 + 7, -1
    assert bytes(reply) == b"\x07\xff"
    with pytest.raises(IndexError):
        reply[2] = 1
    with pytest.raises(TypeError, match="use copy"):
        reply[0:1] = b"abc"  # type: ignore[index, assignment]


def test_ahead_does_nothing() -> None:
    does.ahead(Arrays().octets, 2**40)
