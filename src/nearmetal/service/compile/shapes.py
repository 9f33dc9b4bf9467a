"""Numba types of what a service's functions are handed: bytes, the reply, arrays, records.

None of them is Numba's array: these would bring reference counting and a runtime along. A view of
bytes is a pointer and a length, an array a pointer (its length is part of the type), a record a
pointer to a block with fixed offsets. Every item is a signed 64-bit int outside memory.

The reply has a mark beside pointer and length: how many bytes of it are defined. Bytes behind the
mark count as zeros, but they are written only when a write leaves a gap or the reply is longer
than the mark. So a reply never shows what its room held before, and no whole room is cleared.
"""

from __future__ import annotations

import zlib
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    infer_getattr,
    lower_getattr_generic,
    lower_setattr_generic,
    models,
    register_model,
)

from nearmetal.service.compile.plan import Field, Group

INT = ir.IntType(64)
BYTE = ir.IntType(8)


class View(types.Type):  # type: ignore[misc]
    """Some bytes that can be read: the request, or a constant."""

    def __init__(self) -> None:
        super().__init__(name="View")


class Reply(types.Type):  # type: ignore[misc]
    """Room for the reply."""

    def __init__(self) -> None:
        super().__init__(name="Reply")


class Array(types.Type):  # type: ignore[misc]
    """An array of a record."""

    def __init__(self, field: Field, writable: bool) -> None:
        self.field = field
        self.writable = writable
        super().__init__(
            name=f"Array({field.name}, {field.item_bytes}, {field.signed}, {field.count},"
            f" {writable})"
        )


class Record(types.Type):  # type: ignore[misc]
    """A block of fields at fixed offsets: the state, a table in it, the source of a request."""

    def __init__(self, title: str, fields: tuple[Field | Group, ...], writable: bool) -> None:
        self.title = title  # what errors call it
        self.fields = {field.name: field for field in fields}
        self.writable = writable
        kind = "table" if title.startswith("state.") else title  # tables of one shape are one type
        shape = zlib.crc32(repr(fields).encode())
        super().__init__(name=f"{kind} {shape:x} {'rw' if writable else 'r'}")


VIEW = View()
REPLY = Reply()


@register_model(View)
class _ViewModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: View) -> None:
        members = [("data", types.CPointer(types.uint8)), ("length", types.int64)]
        super().__init__(dmm, fe_type, members)


@register_model(Reply)
class _ReplyModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Reply) -> None:
        members = [
            ("data", types.CPointer(types.uint8)),
            ("length", types.int64),
            ("mark", types.CPointer(types.int64)),
        ]
        super().__init__(dmm, fe_type, members)


@register_model(Array)
@register_model(Record)
class _PointerModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, ir.PointerType(BYTE))


def struct(context: Any, builder: Any, of: Any, value: Any = None) -> Any:
    """Return a view or a reply whose parts are attributes."""
    return cgutils.create_struct_proxy(of)(context, builder, value=value)


def span(context: Any, builder: Any, of: Any, value: Any) -> tuple[Any, Any]:
    """Return the pointer to the first item, and the number of items."""
    if isinstance(of, Array):
        return value, INT(of.field.count)
    parts = struct(context, builder, of, value)
    return parts.data, parts.length


def is_bytes(of: Any) -> bool:
    """Whether a type is a sequence of bytes, which the functions on ranges take."""
    if isinstance(of, Array):
        return of.field.item_bytes == 1 and not of.field.signed
    return isinstance(of, View | Reply)


def is_writable(of: Any) -> bool:
    return isinstance(of, Reply) or (isinstance(of, Array | Record) and of.writable)


def load(builder: Any, field: Field, where: Any) -> Any:
    """Return the item at an address as a signed 64-bit int."""
    width = ir.IntType(8 * field.item_bytes)
    value = builder.load(builder.bitcast(where, width.as_pointer()), align=1)
    if field.item_bytes == 8:
        return value
    return builder.sext(value, INT) if field.signed else builder.zext(value, INT)


def store(builder: Any, field: Field, where: Any, value: Any) -> None:
    """Write the low bits of an int to an address."""
    width = ir.IntType(8 * field.item_bytes)
    cut = value if field.item_bytes == 8 else builder.trunc(value, width)
    builder.store(cut, builder.bitcast(where, width.as_pointer()), align=1)


def at(builder: Any, base: Any, offset: Any) -> Any:
    """Return the address so many bytes behind another."""
    return builder.gep(base, [INT(offset) if isinstance(offset, int) else offset])


def field_type(record: Record, name: str) -> Any:
    """Return the type of a field; None: there is no such field."""
    field = record.fields.get(name)
    if field is None:
        return None
    if isinstance(field, Group):
        return Record(f"{record.title}.{name}", field.fields, record.writable)
    return types.int64 if field.count is None else Array(field, record.writable)


@infer_getattr
class _RecordFields(AttributeTemplate):  # type: ignore[misc]
    key = Record

    def generic_resolve(self, record: Record, name: str) -> Any:
        return field_type(record, name)


@lower_getattr_generic(Record)  # type: ignore[untyped-decorator]
def _field(context: Any, builder: Any, record: Record, value: Any, name: str) -> Any:
    field = record.fields[name]
    where = at(builder, value, field.offset)
    if isinstance(field, Group) or field.count is not None:
        return where
    return load(builder, field, where)


@lower_setattr_generic(Record)  # type: ignore[untyped-decorator]
def _set_field(context: Any, builder: Any, signature: Any, values: Any, name: str) -> None:
    record = signature.args[0]
    field = record.fields[name]
    store(builder, field, at(builder, values[0], field.offset), values[1])
