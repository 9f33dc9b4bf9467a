"""The functions of nearmetal.service on ranges of bytes, as instructions.

Each behaves as its twin in CPython (nearmetal/service/bytewise.py), which says what it does. A
range is checked before anything is written. Short ranges are copied without a call: two loads that
may overlap cover up to 32 bytes, and a call costs more than they do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from nearmetal.service.compile import shapes
from nearmetal.service.compile.items import define, define_gap, raise_mark
from nearmetal.service.compile.operations import as_int, fault_if, is_int, literal, plain, refused
from nearmetal.service.compile.shapes import (
    BYTE,
    INT,
    Array,
    Reply,
    View,
    is_bytes,
    is_writable,
)

_POINTER = BYTE.as_pointer()
VECTOR = ir.VectorType(BYTE, 16)
CALL_FROM_BYTES = 256  # a longer copy is a call, as in native/service/bytes.h
_WRONG = (
    "the arguments do not fit: bytes are the request, the reply, constant bytes or an array of u8;"
    " only the reply and the state's arrays can be written; positions are ints"
)


class _Range:
    """Bytes begin to end of an argument, checked."""

    def __init__(self, context: Any, builder: Any, of: Any, value: Any) -> None:
        self.context, self.builder, self.of, self.value = context, builder, of, value
        self.data, self.count = shapes.span(context, builder, of, value)

    def outside(self, begin: Any, end: Any) -> Any:
        """Return whether not 0 <= begin <= end <= count."""
        builder = self.builder
        # Compared unsigned, a negative end is larger than any count.
        return builder.or_(
            builder.icmp_unsigned(">", begin, end), builder.icmp_unsigned(">", end, self.count)
        )

    def read(self, begin: Any, end: Any) -> Any:
        """Return the address of a range that will be read."""
        if isinstance(self.of, Reply):
            define(self.context, self.builder, self.of, self.value, begin, end)
        return shapes.at(self.builder, self.data, begin)

    def written(self, begin: Any, end: Any) -> Any:
        """Return the address of a range that will be written."""
        if isinstance(self.of, Reply):
            define_gap(self.context, self.builder, self.of, self.value, begin)
            raise_mark(self.context, self.builder, self.of, self.value, end)
        return shapes.at(self.builder, self.data, begin)


def _ints(context: Any, builder: Any, signature: Any, values: Any, *which: int) -> list[Any]:
    return [as_int(context, builder, signature.args[n], values[n]) for n in which]


class _Both:
    """The two ranges of `copy` and `compare`: (one, at, other, begin, end), equally long."""

    def __init__(
        self, context: Any, builder: Any, signature: Any, values: Any, of: tuple[Any, Any]
    ) -> None:
        self.builder = builder
        self.one = _Range(context, builder, of[0], values[0])
        self.other = _Range(context, builder, of[1], values[2])
        self.at, self.begin, self.end = _ints(context, builder, signature, values, 1, 3, 4)
        self.length = builder.sub(self.end, self.begin)
        self.behind = builder.add(self.at, self.length)

    def outside(self) -> Any:
        """Return whether one of them is outside of its bytes."""
        one = self.one.outside(self.at, self.behind)
        return self.builder.or_(self.other.outside(self.begin, self.end), one)


def _apart(to: Any, data: Any) -> bool:
    """Whether two ranges never overlap: a view is a copy of the request, or constant."""
    return isinstance(data, View) or isinstance(to, Reply) != isinstance(data, Reply)


def _signature(result: Any, *arguments: Any) -> Any:
    """Return a signature in which ints are not literals, but for the place at the end."""
    kept = [plain(one) if is_int(one) else one for one in arguments[:-1]]
    return result(*kept, arguments[-1])


def _copy(checked: bool) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def copy(typingctx: Any, to: Any, at: Any, data: Any, begin: Any, end: Any, place: Any) -> Any:
        numbers = is_int(at) and is_int(begin) and is_int(end)
        if not (is_bytes(to) and is_writable(to) and is_bytes(data) and numbers):
            raise refused(_WRONG)

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            both = _Both(context, builder, signature, values, (to, data))
            if checked:
                fault_if(context, builder, both.outside(), IndexError, literal(place))
            read = both.other.read(both.begin, both.end)
            written = both.one.written(both.at, both.behind)
            move(builder, written, read, both.length, apart=_apart(to, data))
            return both.behind

        return _signature(types.int64, to, at, data, begin, end, place), codegen

    return copy


def _fill(checked: bool) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def fill(typingctx: Any, to: Any, begin: Any, end: Any, value: Any, place: Any) -> Any:
        numbers = is_int(value) and is_int(begin) and is_int(end)
        if not (is_bytes(to) and is_writable(to) and numbers):
            raise refused(_WRONG)

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            target = _Range(context, builder, to, values[0])
            start, stop, byte = _ints(context, builder, signature, values, 1, 2, 3)
            if checked:
                wrong = target.outside(start, stop)
                fault_if(context, builder, wrong, IndexError, literal(place))
            where = target.written(start, stop)
            cgutils.memset(builder, where, builder.sub(stop, start), builder.trunc(byte, BYTE))
            return stop

        return _signature(types.int64, to, begin, end, value, place), codegen

    return fill


def _compare(checked: bool) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def compare(
        typingctx: Any, one: Any, at: Any, other: Any, begin: Any, end: Any, place: Any
    ) -> Any:
        numbers = is_int(at) and is_int(begin) and is_int(end)
        if not (is_bytes(one) and is_bytes(other) and numbers):
            raise refused(_WRONG)

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            both = _Both(context, builder, signature, values, (one, other))
            if checked:
                fault_if(context, builder, both.outside(), IndexError, literal(place))
            ones = both.one.read(both.at, both.behind)
            others = both.other.read(both.begin, both.end)
            kind = ir.FunctionType(ir.IntType(32), [_POINTER, _POINTER, INT])
            memcmp = cgutils.get_or_insert_function(builder.module, kind, "memcmp")
            result = builder.sext(builder.call(memcmp, [ones, others, both.length]), INT)
            larger = builder.zext(builder.icmp_signed(">", result, INT(0)), INT)
            smaller = builder.zext(builder.icmp_signed("<", result, INT(0)), INT)
            return builder.sub(larger, smaller)

        return _signature(types.int64, one, at, other, begin, end, place), codegen

    return compare


def _load(nb_bytes: int, checked: bool) -> Any:
    width = ir.IntType(8 * nb_bytes)

    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def load(typingctx: Any, data: Any, at: Any, place: Any) -> Any:
        if not (is_bytes(data) and is_int(at)):
            raise refused(_WRONG)

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            source = _Range(context, builder, data, values[0])
            (first,) = _ints(context, builder, signature, values, 1)
            behind = builder.add(first, INT(nb_bytes))
            if checked:
                wrong = source.outside(first, behind)
                fault_if(context, builder, wrong, IndexError, literal(place))
            where = builder.bitcast(source.read(first, behind), width.as_pointer())
            value = builder.bswap(builder.load(where, align=1))
            return value if nb_bytes == 8 else builder.zext(value, INT)

        return _signature(types.int64, data, at, place), codegen

    return load


def _store(nb_bytes: int, checked: bool) -> Any:
    width = ir.IntType(8 * nb_bytes)

    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def store(typingctx: Any, to: Any, at: Any, value: Any, place: Any) -> Any:
        if not (is_bytes(to) and is_writable(to) and is_int(at) and is_int(value)):
            raise refused(_WRONG)

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            target = _Range(context, builder, to, values[0])
            first, number = _ints(context, builder, signature, values, 1, 2)
            behind = builder.add(first, INT(nb_bytes))
            if checked:
                wrong = target.outside(first, behind)
                fault_if(context, builder, wrong, IndexError, literal(place))
            where = builder.bitcast(target.written(first, behind), width.as_pointer())
            low = number if nb_bytes == 8 else builder.trunc(number, width)
            builder.store(builder.bswap(low), where, align=1)
            return behind

        return _signature(types.int64, to, at, value, place), codegen

    return store


def _check(checked: bool) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def check(typingctx: Any, data: Any, begin: Any, end: Any, place: Any) -> Any:
        if not (is_bytes(data) and is_int(begin) and is_int(end)):
            raise refused(_WRONG)

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            found = _Range(context, builder, data, values[0])
            start, stop = _ints(context, builder, signature, values, 1, 2)
            if checked:
                wrong = found.outside(start, stop)
                fault_if(context, builder, wrong, IndexError, literal(place))
            found.read(start, stop)
            return context.get_dummy_value()

        return _signature(types.none, data, begin, end, place), codegen

    return check


check = {checked: _check(checked) for checked in (True, False)}


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def ahead(typingctx: Any, array: Any, index: Any, place: Any) -> Any:
    """Prefetch for writing. A wrong address does no harm, so that nothing is checked."""
    if not (isinstance(array, Array) and is_int(index)):
        raise refused(_WRONG)

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        (position,) = _ints(context, builder, signature, values, 1)
        offset = builder.mul(position, INT(array.field.item_bytes))
        where = shapes.at(builder, values[0], offset)
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [_POINTER, flag, flag, flag])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        to_write, into_all_caches, data = flag(1), flag(3), flag(1)
        builder.call(prefetch, [where, to_write, into_all_caches, data])
        return context.get_dummy_value()

    return _signature(types.none, array, index, place), codegen


def intrinsics(checked: bool) -> dict[str, Any]:
    """Return the compiler's form of each function of nearmetal.service, by its name."""
    return {
        "copy": _copy(checked),
        "fill": _fill(checked),
        "compare": _compare(checked),
        "ahead": ahead,
        **{f"load{8 * n}": _load(n, checked) for n in (2, 4, 8)},
        **{f"store{8 * n}": _store(n, checked) for n in (2, 4, 8)},
    }


@intrinsic  # type: ignore[untyped-decorator]
def little64_at(typingctx: Any, data: Any, at: Any) -> Any:
    """Return eight bytes as an int, little endian; their caller has checked the position."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        base, _ = shapes.span(context, builder, data, values[0])
        where = builder.bitcast(shapes.at(builder, base, values[1]), INT.as_pointer())
        return builder.load(where, align=1)

    return types.int64(data, types.int64), codegen


def move(builder: Any, to: Any, read: Any, length: Any, *, apart: bool) -> None:
    """Copy bytes, short ranges without a call. apart: the two ranges never overlap."""
    module = builder.module
    name = "nearmetal_copy" if apart else "nearmetal_move"
    kind = ir.FunctionType(ir.VoidType(), [_POINTER, _POINTER, INT])
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, kind, name)
        function.linkage = "linkonce_odr"
        function.attributes.add("alwaysinline")
        _define_move(function, _long_copy if apart else _long_move)
    builder.call(function, [to, read, length])


def _define_move(function: Any, long: Callable[[Any, Any], None]) -> None:
    _, _, length = function.args
    done = function.append_basic_block("done")
    builder = ir.IRBuilder(function.insert_basic_block(0, "entry"))
    with builder.if_then(builder.icmp_unsigned(">", length, INT(32))):
        long(builder, function)
        builder.branch(done)
    for n, kind in ((16, VECTOR), (8, INT), (4, ir.IntType(32)), (2, ir.IntType(16)), (1, BYTE)):
        with builder.if_then(builder.icmp_unsigned(">=", length, INT(n))):
            _move_two(builder, function, n, kind.as_pointer())
            builder.branch(done)
    builder.branch(done)
    builder.position_at_end(done)
    builder.ret_void()


def _long_move(builder: Any, function: Any) -> None:
    to, read, length = function.args
    name = "llvm.memmove.p0.p0.i64"
    kind = ir.FunctionType(ir.VoidType(), [_POINTER, _POINTER, INT, ir.IntType(1)])
    memmove = cgutils.get_or_insert_function(builder.module, kind, name)
    builder.call(memmove, [to, read, length, ir.IntType(1)(0)])


def _long_copy(builder: Any, function: Any) -> None:
    """Copy more than 32 bytes: two vectors at once, and the last two, which may overlap others.

    A call, above all of the copy in an image, costs more than some turns of this loop.
    """
    to, read, length = function.args
    with builder.if_else(builder.icmp_unsigned(">", length, INT(CALL_FROM_BYTES))) as (call, loop):
        with call:
            cgutils.raw_memcpy(builder, to, read, length, 1)
        with loop:
            end = builder.sub(length, INT(32))
            before = builder.block
            body = builder.append_basic_block("vectors")
            behind = builder.append_basic_block("last")
            builder.branch(body)
            builder.position_at_end(body)
            at = builder.phi(INT)
            at.add_incoming(INT(0), before)
            _copy_two(builder, function, at)
            following = builder.add(at, INT(32))
            at.add_incoming(following, body)
            builder.cbranch(builder.icmp_unsigned("<", following, end), body, behind)
            builder.position_at_end(behind)
            _copy_two(builder, function, end)


def _copy_two(builder: Any, function: Any, at: Any) -> None:
    """Copy two vectors."""
    to, read, _ = function.args
    for position in (at, builder.add(at, INT(16))):
        where = [
            builder.bitcast(builder.gep(each, [position]), VECTOR.as_pointer())
            for each in (to, read)
        ]
        builder.store(builder.load(where[1], align=1), where[0], align=1)


def _move_two(builder: Any, function: Any, nb_bytes: int, kind: Any) -> None:
    """Copy the first and the last bytes; both are read before one is written."""
    to, read, length = function.args
    last = builder.sub(length, INT(nb_bytes))
    ends = [
        builder.load(builder.bitcast(each, kind), align=1)
        for each in (read, builder.gep(read, [last]))
    ]
    for end, each in zip(ends, (to, builder.gep(to, [last])), strict=True):
        builder.store(end, builder.bitcast(each, kind), align=1)
