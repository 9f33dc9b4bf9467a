"""Items of bytes, arrays and the reply, constants, and the begin and end of an answer."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from nearmetal.service.compile import shapes
from nearmetal.service.compile.operations import (
    as_int,
    end_if,
    fault_if,
    is_int,
    literal,
    plain,
    refused,
    told,
)
from nearmetal.service.compile.plan import Field, fault_code
from nearmetal.service.compile.shapes import BYTE, INT, REPLY, VIEW, Array, Reply, View
from nearmetal.service.faults import BAD_RETURN, FAULTS

_BYTES = Field("", 0, 1, False, None)  # how an item of bytes is stored


@intrinsic  # type: ignore[untyped-decorator]
def length(typingctx: Any, of: Any) -> Any:
    """len() of bytes, the reply or an array."""
    if not isinstance(of, View | Reply | Array):
        raise refused(f"{told(of)} has no len()")

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return shapes.span(context, builder, of, values[0])[1]

    return types.int64(of), codegen


def _position(context: Any, builder: Any, index: Any, count: Any, place: int, checked: bool) -> Any:
    """Return an index from the start; a negative one counts from the end."""
    behind = builder.icmp_signed("<", index, INT(0))
    found = builder.select(behind, builder.add(index, count), index)
    if checked:
        outside = builder.icmp_unsigned(">=", found, count)
        fault_if(context, builder, outside, IndexError, place)
    return found


def _item_of(of: Any) -> Field:
    return of.field if isinstance(of, Array) else _BYTES


def _scaled(builder: Any, field: Field, position: Any) -> Any:
    return builder.mul(position, INT(field.item_bytes))


def _getitem(checked: bool) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def operation(typingctx: Any, of: Any, index: Any, place: Any) -> Any:
        if not isinstance(of, View | Reply | Array):
            raise refused(f"{told(of)} has no items")
        if not is_int(index):
            raise refused("an index is an int; for a range use copy, compare or fill")

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            data, count = shapes.span(context, builder, of, values[0])
            wanted = as_int(context, builder, index, values[1])
            position = _position(context, builder, wanted, count, literal(place), checked)
            field = _item_of(of)
            if not isinstance(of, Reply):
                where = shapes.at(builder, data, _scaled(builder, field, position))
                return shapes.load(builder, field, where)
            define(context, builder, of, values[0], position, builder.add(position, INT(1)))
            return shapes.load(builder, field, shapes.at(builder, data, position))

        return types.int64(of, plain(index), place), codegen

    return operation


def _setitem(checked: bool) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def operation(typingctx: Any, of: Any, index: Any, value: Any, place: Any) -> Any:
        if not shapes.is_writable(of):
            raise refused(f"{told(of)} cannot be written here")
        if not is_int(index):
            raise refused("an index is an int; for a range use copy or fill")
        if not is_int(value):
            raise refused(f"an item is an int, not {told(value)}")

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            data, count = shapes.span(context, builder, of, values[0])
            wanted = as_int(context, builder, index, values[1])
            position = _position(context, builder, wanted, count, literal(place), checked)
            field = _item_of(of)
            if isinstance(of, Reply):
                define_gap(context, builder, of, values[0], position)
                raise_mark(context, builder, of, values[0], builder.add(position, INT(1)))
            where = shapes.at(builder, data, _scaled(builder, field, position))
            shapes.store(builder, field, where, as_int(context, builder, value, values[2]))
            return context.get_dummy_value()

        return types.none(of, plain(index), plain(value), place), codegen

    return operation


getitem = {checked: _getitem(checked) for checked in (True, False)}
setitem = {checked: _setitem(checked) for checked in (True, False)}


def define_gap(context: Any, builder: Any, of: Any, reply: Any, begin: Any) -> None:
    """Write the zeros between the mark and the position where something is to be written."""
    parts = shapes.struct(context, builder, of, reply)
    mark = builder.load(parts.mark)
    with builder.if_then(builder.icmp_signed(">", begin, mark), likely=False):
        cgutils.memset(builder, shapes.at(builder, parts.data, mark), builder.sub(begin, mark), 0)
        builder.store(begin, parts.mark)


def raise_mark(context: Any, builder: Any, of: Any, reply: Any, end: Any) -> None:
    """Note that the bytes up to a position are defined."""
    parts = shapes.struct(context, builder, of, reply)
    mark = builder.load(parts.mark)
    higher = builder.icmp_signed(">", end, mark)
    builder.store(builder.select(higher, end, mark), parts.mark)


def define(context: Any, builder: Any, of: Any, reply: Any, begin: Any, end: Any) -> None:
    """Define the bytes up to a position, before they are read."""
    define_gap(context, builder, of, reply, end)


def constant(value: bytes) -> Any:
    """Return the intrinsic that gives constant bytes."""

    @intrinsic  # type: ignore[untyped-decorator]
    def operation(typingctx: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kept = cgutils.global_constant(
                builder, ".bytes", cgutils.make_bytearray(value or b"\0")
            )
            view = shapes.struct(context, builder, VIEW)
            view.data = builder.bitcast(kept, BYTE.as_pointer())
            view.length = INT(len(value))
            return view._getvalue()

        return VIEW(), codegen

    return operation


def constant_array(values: tuple[int, ...]) -> Any:
    """Return the intrinsic that gives an array of constant ints."""
    of = Array(Field("constant", 0, 8, True, len(values)), False)

    @intrinsic  # type: ignore[untyped-decorator]
    def operation(typingctx: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            items = ir.Constant(ir.ArrayType(INT, len(values)), list(values))
            kept = cgutils.global_constant(builder, ".ints", items)
            return builder.bitcast(kept, BYTE.as_pointer())

        return of(), codegen

    return operation


@intrinsic  # type: ignore[untyped-decorator]
def begin_reply(typingctx: Any, data: Any, count: Any) -> Any:
    """Return a reply of which nothing is defined."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        reply = shapes.struct(context, builder, REPLY)
        reply.data, reply.length = values
        reply.mark = cgutils.alloca_once_value(builder, INT(0))
        return reply._getvalue()

    return REPLY(data, count), codegen


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def end_reply(typingctx: Any, reply: Any, nb_bytes: Any, nb_drops: Any, place: Any) -> Any:
    """Check what `answer` returned, and define the reply's bytes."""
    if not is_int(nb_bytes):
        raise refused("answer must return an int on every way")

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        parts = shapes.struct(context, builder, REPLY, values[0])
        returned = as_int(context, builder, nb_bytes, values[1])
        wrong = builder.or_(
            builder.icmp_signed(">", returned, parts.length),
            builder.icmp_signed("<", returned, INT(-literal(nb_drops))),
        )
        code = fault_code(FAULTS.index(BAD_RETURN), literal(place))
        end_if(context, builder, wrong, code)
        define(context, builder, REPLY, values[0], returned, returned)
        return returned

    return types.int64(reply, plain(nb_bytes), nb_drops, place), codegen


@intrinsic  # type: ignore[untyped-decorator]
def begin_view(typingctx: Any, data: Any, count: Any) -> Any:
    """Return a view of some bytes."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        view = shapes.struct(context, builder, VIEW)
        view.data, view.length = values
        return view._getvalue()

    return VIEW(data, count), codegen
