"""The frozen values that the compiler takes and returns; importable without Numba."""

from __future__ import annotations

from dataclasses import dataclass

from nearmetal.service import faults
from nearmetal.service.state import Layout

# The number by which an entry reports a fault: class, line and file. service/user.c decodes it.
CLASS_BITS, LINE_BITS = 3, 20
CODE_MIN = 2  # 1 is Numba's own for an exception
FILES_MAX = 1 << (31 - CLASS_BITS - LINE_BITS)


@dataclass(frozen=True)
class Field:
    """A field of a record. count: items of an array; None: a single value."""

    name: str
    offset: int
    item_bytes: int  # 1, 2, 4 or 8; little endian
    signed: bool
    count: int | None


@dataclass(frozen=True)
class Group:
    """A record within a record: a table with its parts."""

    name: str
    offset: int
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Place:
    """A line of a file."""

    file: int
    line: int

    @property
    def number(self) -> int:
        """The place as one number."""
        return self.file << LINE_BITS | min(self.line, (1 << LINE_BITS) - 1)


@dataclass(frozen=True)
class Compiled:
    """An object file's content, and what is known of it."""

    object: bytes
    files: tuple[str, ...]  # of the places in faults; names in the service's folder
    has_prepare: bool
    stack_bytes: int  # the largest frame
    lacks: tuple[str, ...]  # symbols that the place must have


def fault_index(error: type[BaseException]) -> int:
    """Return the position in faults.FAULTS of an exception's class."""
    return faults.FAULTS.index(faults.word(error))


def fault_code(fault: int, place: int) -> int:
    """Return the value by which an entry reports a fault: never 0."""
    return (place << CLASS_BITS | fault) + CODE_MIN


def fault_place(code: int) -> tuple[str, Place]:
    """Return the drop word and the place that a code of an entry stands for."""
    place, fault = divmod(code - CODE_MIN, 1 << CLASS_BITS)
    file, line = divmod(place, 1 << LINE_BITS)
    return faults.FAULTS[fault], Place(file, line)


def fields(layout: Layout) -> tuple[Field | Group, ...]:
    """Return a state's layout as fields; the parts of a table stand in a group of its name."""
    found: list[Field | Group] = []
    tables = {table.name for table in layout.tables}
    for place in layout.places:
        name, _, part = place.path.partition(".")
        offset = place.offset_bytes
        kind = place.kind
        if name not in tables:
            found.append(Field(name, offset, kind.nb_bytes, kind.signed, place.count))
            continue
        group = found[-1] if found and found[-1].name == name else Group(name, offset, ())
        if group in found:
            found.remove(group)
        assert isinstance(group, Group)
        own = Field(part, offset - group.offset, kind.nb_bytes, kind.signed, place.count)
        found.append(Group(name, group.offset, (*group.fields, own)))
    return tuple(found)
