"""The state: fields at fixed offsets, whose stores keep the bits that fit."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearmetal.errors import BadInputError
from nearmetal.service import State, array, i8, i16, i32, i64, seed, table, u8, u16, u32
from nearmetal.service.state import STATE_BYTES_MAX, Kind

KINDS = (u8, u16, u32, i8, i16, i32, i64)


class Mixed(State):
    """A field of each sort."""

    one = u8()
    two = i64()
    few = array(u16, 3)
    key = seed()
    names = table(5, key_bytes=3)
    last = i32()


def test_each_field_begins_at_eight_bytes_and_lies_behind_the_one_before() -> None:
    behind = 0
    for place in Mixed.layout.places:
        assert place.offset_bytes % 8 == 0
        assert behind <= place.offset_bytes < behind + 8
        behind = place.offset_bytes + place.nb_bytes
    assert Mixed.layout.nb_bytes == (behind + 7) // 8 * 8
    assert [place.path for place in Mixed.layout.places] == [
        *("one", "two", "few", "key"),
        *("names.seed", "names.head", "names.keys", "names.links", "names.slots"),
        "last",
    ]


def test_the_block_is_little_endian() -> None:
    state = Mixed()
    state.two = -2
    state.few[1] = 0x1234
    two, few = Mixed.layout.place("two"), Mixed.layout.place("few")
    assert two is not None and few is not None
    assert struct.unpack_from("<q", state.block, two.offset_bytes) == (-2,)
    assert struct.unpack_from("<HHH", state.block, few.offset_bytes) == (0, 0x1234, 0)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@settings(deadline=None)
@given(value=st.integers(-(2**70), 2**70))
def test_a_store_keeps_the_low_bits(kind: Kind, value: int) -> None:
    class Both(State):
        single = kind()
        items = array(kind, 2)

    state = Both()
    state.single = value
    state.items[-1] = value
    bits = 8 * kind.nb_bytes
    low = value % 2**bits
    expected = low - 2**bits if kind.signed and low >= 2 ** (bits - 1) else low
    assert state.single == state.items[1] == expected
    assert state.items[0] == 0


def test_two_states_share_nothing() -> None:
    one, other = Mixed(), Mixed()
    one.two = one.few[0] = 5
    assert other.two == other.few[0] == 0


@pytest.mark.parametrize("index", [3, -4, 2**40])
def test_an_index_outside_is_an_error(index: int) -> None:
    with pytest.raises(IndexError):
        Mixed().few[index]
    with pytest.raises(IndexError):
        Mixed().few[index] = 1


@pytest.mark.parametrize("name", ["three", "few", "names", "layout"])
def test_only_single_fields_are_assigned_to(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        setattr(Mixed(), name, 1)


def test_a_slice_is_refused_with_what_to_write() -> None:
    with pytest.raises(TypeError, match="use copy"):
        Mixed().few[0:1] = 1  # type: ignore[index]


def test_a_start_writes_the_seed_and_keeps_the_tables() -> None:
    state = Mixed()
    state.two = 7
    other = Mixed()
    other.start(bytes(state.block), bytes(range(16)))
    assert other.two == 7
    assert bytes(other.key) == bytes(range(16)) == bytes(other.names.seed)  # type: ignore[call-overload]


def test_the_digest_is_that_of_the_layout() -> None:
    class Same(State):
        one = u8()

    class Again(State):
        one = u8()

    class Wider(State):
        one = u16()

    assert Same.layout.digest == Again.layout.digest != Wider.layout.digest


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"a": 5}, "a is no field"),
        ({"_a": i64()}, "cannot be named _a"),
        ({"block": i64()}, "cannot be named block"),
        ({"__annotations__": {"a": int}}, "a has a type but no place"),
        ({"a": array(u8, STATE_BYTES_MAX), "b": u8()}, "too large; at most 256 MiB"),
    ],
)
def test_a_wrong_state_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(BadInputError, match=f"class Wrong: .*{said}"):
        type("Wrong", (State,), fields)


def test_a_state_has_no_base_of_its_own() -> None:
    with pytest.raises(BadInputError, match="derive it from State itself"):
        type("Derived", (Mixed,), {})


@pytest.mark.parametrize("count", [0, -1, 2**40, 1.5, True, "4"])
def test_a_wrong_length_is_refused(count: int) -> None:
    with pytest.raises(BadInputError, match="must be a number from 1 to"):
        array(u8, count)
    with pytest.raises(BadInputError, match="must be a number from 1 to"):
        table(count, key_bytes=4)


def test_a_wrong_kind_is_refused() -> None:
    with pytest.raises(BadInputError, match="the kind is one of u8"):
        array(int, 4)  # type: ignore[arg-type]
