"""The state of a service: one block of memory, at fixed offsets, without pointers.

    class Seen(State):
        total = i64()
        counts = array(u32, 4096)
        sources = table(4096, key_bytes=16)

Little endian; each field begins at a multiple of 8 bytes, in the order of the class. The block is
all zeros at first. In CPython an instance reads and writes a block of its own; in a compiled
program the same block lies in the service's memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast

from nearmetal.errors import BadInputError
from nearmetal.service.buffers import Array
from nearmetal.service.tables import SEED_BYTES, Table, reindex, slot_count

ALIGN_BYTES = 8
STATE_BYTES_MAX = 1 << 28
TABLE_CAPACITY_MAX = 1 << 24
TABLE_KEY_BYTES_MAX = 256


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of integer; calling it declares one field of the state."""

    name: str
    format: Literal["B", "H", "I", "b", "h", "i", "q"]  # of struct and memoryview
    nb_bytes: int

    @property
    def signed(self) -> bool:
        """Whether it has negative values."""
        return self.name.startswith("i")

    def __call__(self) -> int:
        """Declare a field. An instance of the class has an integer in its place."""
        return cast(int, _Declared(((self, "", None),)))


u8 = Kind("u8", "B", 1)
u16 = Kind("u16", "H", 2)
u32 = Kind("u32", "I", 4)
i8 = Kind("i8", "b", 1)
i16 = Kind("i16", "h", 2)
i32 = Kind("i32", "i", 4)
i64 = Kind("i64", "q", 8)


def array(kind: Kind, count: int) -> Array:
    """Declare an array of `count` integers of a kind."""
    if not isinstance(kind, Kind):
        raise BadInputError("array: the kind is one of u8, u16, u32, i8, i16, i32 and i64")
    return cast(Array, _Declared(((kind, "", _whole("count", count, STATE_BYTES_MAX)),)))


def seed() -> Array:
    """Declare 16 bytes that are random at each start: the key of `keyed_hash`."""
    return cast(Array, _Declared(((u8, "", SEED_BYTES),), seed=0))


def table(capacity: int, *, key_bytes: int) -> Table:
    """Declare a table of at most `capacity` different keys, each of `key_bytes` bytes."""
    _whole("capacity", capacity, TABLE_CAPACITY_MAX)
    _whole("key_bytes", key_bytes, TABLE_KEY_BYTES_MAX)
    parts = (
        (u8, ".seed", SEED_BYTES),
        (i64, ".head", 3),
        (u8, ".keys", capacity * key_bytes),
        (i32, ".links", capacity),
        (i32, ".slots", slot_count(capacity)),
    )
    return cast(Table, _Declared(parts, seed=0, table=(capacity, key_bytes)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field lies in the block."""

    path: str  # name, or name.part of a table
    kind: Kind
    offset_bytes: int
    count: int | None  # None: one integer, not an array

    @property
    def nb_bytes(self) -> int:
        """Length in bytes."""
        return self.kind.nb_bytes * (1 if self.count is None else self.count)


@dataclass(frozen=True, slots=True)
class TablePlace:
    """A table: its parts are the places `name.seed`, .head, .keys, .links and .slots."""

    name: str
    capacity: int
    key_bytes: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole block."""

    places: tuple[Place, ...]
    tables: tuple[TablePlace, ...]
    seed_offsets: tuple[int, ...]  # 16 bytes at each are the start's seed
    nb_bytes: int

    @property
    def digest(self) -> str:
        """SHA-256 of names, kinds, counts and offsets; two programs with the same share a block."""
        text = "\n".join(
            f"{place.path} {place.kind.name} {place.offset_bytes} {place.count}"
            for place in self.places
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def place(self, path: str) -> Place | None:
        """Return the place of a field, None: the state has no such field."""
        return next((place for place in self.places if place.path == path), None)


class State:
    """Base of a state; the class of a service declares its fields."""

    layout: ClassVar[Layout] = Layout((), (), (), 0)
    block: bytearray

    def __init_subclass__(cls) -> None:
        if cls.__mro__[1] is not State:
            raise BadInputError(f"class {cls.__name__}: derive it from State itself")
        declared = dict(_declared(cls))
        cls.layout = _laid_out(cls.__name__, declared)
        for name, one in declared.items():
            if one.single:
                place = cls.layout.place(name)
                assert place is not None
                setattr(cls, name, _Scalar(place))
            else:
                delattr(cls, name)

    def __init__(self) -> None:
        self.block = bytearray(self.layout.nb_bytes)
        whole = memoryview(self.block)
        arrays = {place.path: _array(whole, place) for place in self.layout.places}
        for path, one in arrays.items():
            place = self.layout.place(path)
            assert place is not None
            if place.count is None:
                self.__dict__[f"_{path}"] = one
            elif "." not in path:
                self.__dict__[path] = one
        for each in self.layout.tables:
            parts = (arrays[f"{each.name}.{part}"] for part in Table.PARTS)
            self.__dict__[each.name] = Table(*parts)

    def start(self, block: bytes, seed: bytes) -> None:
        """Take another block, and a seed: what a program does at its start."""
        self.block[:] = block
        for offset in self.layout.seed_offsets:
            self.block[offset : offset + SEED_BYTES] = seed
        for each in self.layout.tables:
            reindex(self.__dict__[each.name])

    def __setattr__(self, name: str, value: object) -> None:
        known = name == "block" or isinstance(vars(type(self)).get(name), _Scalar)
        if not known:
            kind = "an array or a table: assign to its items" if name in self.__dict__ else "none"
            raise AttributeError(f"state.{name}: no field to assign to ({kind})")
        object.__setattr__(self, name, value)


class _Scalar:
    """One integer of a state."""

    def __init__(self, place: Place) -> None:
        self._name = f"_{place.path}"

    def __get__(self, state: State, owner: type[State]) -> int:
        value: int = state.__dict__[self._name].items[0]
        return value

    def __set__(self, state: State, value: int) -> None:
        state.__dict__[self._name][0] = value


@dataclass(frozen=True)
class _Declared:
    """A field as its class declares it: parts of kind, path behind the name, and count."""

    parts: tuple[tuple[Kind, str, int | None], ...]
    seed: int | None = None  # offset of a seed in it
    table: tuple[int, int] | None = None
    single: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "single", self.parts[0][2] is None)


def _declared(cls: type[State]) -> Iterator[tuple[str, _Declared]]:
    for name, value in vars(cls).items():
        if isinstance(value, _Declared):
            if name.startswith("_") or name in ("layout", "block"):
                raise BadInputError(f"class {cls.__name__}: a field cannot be named {name}")
            yield name, value
        elif not name.startswith("__"):
            raise BadInputError(
                f"class {cls.__name__}: {name} is no field; declare it as i64(), array(u8, 16)"
                " or table(100, key_bytes=4)"
            )
    for name in vars(cls).get("__annotations__", {}):
        if name not in vars(cls):
            raise BadInputError(
                f"class {cls.__name__}: {name} has a type but no place; write {name} = i64()"
            )


def _laid_out(name: str, declared: dict[str, _Declared]) -> Layout:
    places, tables, seeds, offset = [], [], [], 0
    for path, one in declared.items():
        if one.seed is not None:
            seeds.append(offset + one.seed)
        if one.table is not None:
            tables.append(TablePlace(path, *one.table))
        for kind, behind, count in one.parts:
            place = Place(path + behind, kind, offset, count)
            places.append(place)
            offset += -(-place.nb_bytes // ALIGN_BYTES) * ALIGN_BYTES
    if offset > STATE_BYTES_MAX:
        raise BadInputError(
            f"class {name}: a state of {offset:,} bytes is too large; at most"
            f" {STATE_BYTES_MAX >> 20} MiB"
        )
    return Layout(tuple(places), tuple(tables), tuple(seeds), offset)


def _array(whole: memoryview, place: Place) -> Array:
    part = whole[place.offset_bytes : place.offset_bytes + place.nb_bytes]
    return Array(part.cast(place.kind.format), signed=place.kind.signed)


def _whole(name: str, value: int, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise BadInputError(f"{name} = {value!r}: must be a number from 1 to {most:,}")
    return value
