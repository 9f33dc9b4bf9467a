"""Operators of a service's functions, as instructions: Python's results on 64 bits with sign.

A result that does not fit wraps around; CPython does the same (nearmetal/service/integers.py). The
last argument of each is the place in the source, which the code of a fault carries.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from nearmetal.service.compile.plan import CLASS_BITS, CODE_MIN, fault_code, fault_index
from nearmetal.service.compile.shapes import INT, Array, Record, Reply, View

CODE = ir.IntType(32)

Emit = Callable[..., Any]


def refused(text: str) -> TypingError:
    """Return the error by which the typing of an intrinsic refuses; pipeline.py finds the text."""
    return TypingError(f"@@{text}@@")


def fault_if(
    context: Any, builder: Any, condition: Any, error: type[BaseException], place: int
) -> None:
    """End the function with a fault where a condition holds."""
    end_if(context, builder, condition, fault_code(fault_index(error), place))


def end_if(context: Any, builder: Any, condition: Any, code: int) -> None:
    with builder.if_then(condition, likely=False):
        context.call_conv._return_errcode_raw(builder, CODE(code))


def told(of: Any) -> str:
    """Return what a type is called in an error."""
    if isinstance(of, View):
        return "bytes"
    if isinstance(of, Reply):
        return "the reply"
    if isinstance(of, Array):
        return f"the array {of.field.name}"
    if isinstance(of, Record):
        return of.title
    if isinstance(of, types.NoneType):
        return "None"
    return "an int" if is_int(of) else f"a value of type {of}"


def literal(of: Any) -> int:
    """Return the value of an argument that the translation made a constant."""
    value: int = of.literal_value
    return value


def is_int(of: Any) -> bool:
    return isinstance(of, types.Integer | types.Boolean)


def as_int(context: Any, builder: Any, of: Any, value: Any) -> Any:
    """Return an int or a bool as 64 bits."""
    if value.type == INT:
        return value
    return builder.zext(builder.icmp_unsigned("!=", value, value.type(0)), INT)


def _binary(emit: Emit) -> Any:
    """Return the intrinsic of an operator on two ints, with a place."""

    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def operation(typingctx: Any, one: Any, other: Any, place: Any) -> Any:
        if not (is_int(one) and is_int(other)):
            raise refused(f"an operator takes ints, not {told(one)} and {told(other)}")

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            left = as_int(context, builder, one, values[0])
            right = as_int(context, builder, other, values[1])
            return emit(context, builder, left, right, literal(place))

        return types.int64(plain(one), plain(other), place), codegen

    return operation


def plain(of: Any) -> Any:
    return types.boolean if isinstance(of, types.Boolean) else types.int64


def _plainly(name: str) -> Emit:
    """Return how to emit an operator that is one instruction."""
    return lambda context, builder, left, right, place: getattr(builder, name)(left, right)


def _divide(context: Any, builder: Any, left: Any, right: Any, place: int) -> tuple[Any, Any]:
    """Return quotient and remainder, rounded down as in Python; a divisor of 0 is a fault."""
    none = builder.icmp_signed("==", right, INT(0))
    fault_if(context, builder, none, ZeroDivisionError, place)
    # The processor faults when it divides the smallest int by -1: negate instead.
    negating = builder.icmp_signed("==", right, INT(-1))
    divisor = builder.select(negating, INT(1), right)
    quotient, rest = builder.sdiv(left, divisor), builder.srem(left, divisor)
    # The rest has the sign of the divisor, unless it is 0.
    off = builder.and_(
        builder.icmp_signed("!=", rest, INT(0)),
        builder.icmp_signed("<", builder.xor(rest, divisor), INT(0)),
    )
    rounded = builder.select(off, builder.sub(quotient, INT(1)), quotient)
    return (
        builder.select(negating, builder.sub(INT(0), left), rounded),
        builder.select(off, builder.add(rest, divisor), rest),
    )


def _floor_divide(context: Any, builder: Any, left: Any, right: Any, place: int) -> Any:
    return _divide(context, builder, left, right, place)[0]


def _modulo(context: Any, builder: Any, left: Any, right: Any, place: int) -> Any:
    return _divide(context, builder, left, right, place)[1]


def _shift(name: str) -> Emit:
    """Return how to emit a shift; one by less than 0 or more than 63 bits is a fault."""

    def emit(context: Any, builder: Any, left: Any, right: Any, place: int) -> Any:
        wrong = builder.icmp_unsigned(">", right, INT(63))
        fault_if(context, builder, wrong, ValueError, place)
        return getattr(builder, name)(left, right)

    return emit


def _bitwise(name: str) -> Any:
    """Return the intrinsic of &, | or ^: of two bools it is a bool, as in Python."""

    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def operation(typingctx: Any, one: Any, other: Any, place: Any) -> Any:
        if not (is_int(one) and is_int(other)):
            raise refused(f"an operator takes ints, not {told(one)} and {told(other)}")
        both = isinstance(one, types.Boolean) and isinstance(other, types.Boolean)

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            if not both:
                values = [
                    as_int(context, builder, of, value)
                    for of, value in zip((one, other), values, strict=False)
                ]
            return getattr(builder, name)(values[0], values[1])

        of = types.boolean if both else types.int64
        return of(plain(one), plain(other), place), codegen

    return operation


BINARY: dict[Any, Any] = {
    operator.add: _binary(_plainly("add")),
    operator.sub: _binary(_plainly("sub")),
    operator.mul: _binary(_plainly("mul")),
    operator.floordiv: _binary(_floor_divide),
    operator.mod: _binary(_modulo),
    operator.lshift: _binary(_shift("shl")),
    operator.rshift: _binary(_shift("ashr")),
    operator.and_: _bitwise("and_"),
    operator.or_: _bitwise("or_"),
    operator.xor: _bitwise("xor"),
}


def _compare(sign: str) -> Any:
    """Return the intrinsic of a comparison of two ints."""

    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def operation(typingctx: Any, one: Any, other: Any, place: Any) -> Any:
        if not (is_int(one) and is_int(other)):
            raise refused(
                f"a comparison takes ints, not {told(one)} and {told(other)}; for bytes write"
                " compare(...) == 0"
            )

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            left = as_int(context, builder, one, values[0])
            right = as_int(context, builder, other, values[1])
            return builder.icmp_signed(sign, left, right)

        return types.boolean(plain(one), plain(other), place), codegen

    return operation


COMPARE: dict[Any, Any] = {
    operator.eq: _compare("=="),
    operator.ne: _compare("!="),
    operator.lt: _compare("<"),
    operator.le: _compare("<="),
    operator.gt: _compare(">"),
    operator.ge: _compare(">="),
}


def _unary(emit: Emit) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def operation(typingctx: Any, value: Any, place: Any) -> Any:
        if not is_int(value):
            raise refused(f"an operator takes ints, not {told(value)}")

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return emit(
                context, builder, as_int(context, builder, value, values[0]), literal(place)
            )

        return types.int64(plain(value), place), codegen

    return operation


def _negate(context: Any, builder: Any, value: Any, place: int) -> Any:
    return builder.sub(INT(0), value)


def _absolute(context: Any, builder: Any, value: Any, place: int) -> Any:
    negative = builder.icmp_signed("<", value, INT(0))
    return builder.select(negative, builder.sub(INT(0), value), value)


UNARY: dict[Any, Any] = {
    operator.neg: _unary(_negate),
    operator.pos: _unary(lambda context, builder, value, place: value),
    operator.invert: _unary(lambda context, builder, value, place: builder.not_(value)),
}
absolute = _unary(_absolute)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def rotated(typingctx: Any, value: Any, nb_bits: Any) -> Any:
    """Return an int whose 64 bits are rotated to the left."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = INT(literal(nb_bits))
        return builder.or_(
            builder.shl(values[0], bits), builder.lshr(values[0], builder.sub(INT(64), bits))
        )

    return types.int64(types.int64, nb_bits), codegen


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def raised(typingctx: Any, fault_index: Any, place: Any) -> Any:
    """End the function with the fault of a `raise` or `assert`."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        code = fault_code(literal(fault_index), literal(place))
        context.call_conv._return_errcode_raw(builder, CODE(code))
        builder.position_at_end(builder.append_basic_block("behind_raise"))
        return context.get_dummy_value()

    return types.none(fault_index, place), codegen


def calling(dispatcher: Any, count: int) -> Any:
    """Return the intrinsic that calls a function of nearmetal.service, of so many parameters.

    A fault in the function is one of the line that calls it: that is the user's.
    """

    def call(typingctx: Any, given: tuple[Any, ...], place: Any) -> Any:
        kind = types.Dispatcher(dispatcher)
        found = typingctx.resolve_function_type(kind, tuple(map(_unliteral, given)), {})

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            made = dispatcher.overloads[found.args]
            context.add_linking_libs([made.library])
            status, result = context.call_internal_no_propagate(
                builder, made.fndesc, found, values[:-1]
            )
            with builder.if_then(status.is_error, likely=False):
                code = builder.sub(status.code, CODE(CODE_MIN))
                fault = builder.and_(code, CODE((1 << CLASS_BITS) - 1))
                here = builder.add(fault, CODE(fault_code(0, literal(place))))
                context.call_conv._return_errcode_raw(builder, here)
            return result

        return found.return_type(*found.args, place), codegen

    return _OF_COUNT[count](call)


def _unliteral(of: Any) -> Any:
    return types.unliteral(of) if not isinstance(of, types.Boolean) else types.int64


def _of_one(call: Emit) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def operation(typingctx: Any, one: Any, place: Any) -> Any:
        return call(typingctx, (one,), place)

    return operation


def _of_two(call: Emit) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def operation(typingctx: Any, one: Any, two: Any, place: Any) -> Any:
        return call(typingctx, (one, two), place)

    return operation


def _of_three(call: Emit) -> Any:
    @intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
    def operation(typingctx: Any, one: Any, two: Any, three: Any, place: Any) -> Any:
        return call(typingctx, (one, two, three), place)

    return operation


_OF_COUNT = {1: _of_one, 2: _of_two, 3: _of_three}
