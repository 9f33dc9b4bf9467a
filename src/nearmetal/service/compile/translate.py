"""A pass over Numba's IR, before types are inferred: every operation becomes an own instruction.

Operators, indices, calls of `nearmetal.service` and raise are replaced by intrinsics of
operations.py, items.py and ranges.py, each with its place in the source. Names that a service may
not use are refused here.
"""

from __future__ import annotations

import builtins
import inspect
import operator
import types as python_types
from collections.abc import Hashable
from typing import Any

from numba.core import ir, postproc
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.extending import _Intrinsic as Intrinsic
from numba.core.ir_utils import build_definitions, mk_unique_var

from nearmetal.service.both import COMPILED
from nearmetal.service.compile import items, operations, ranges
from nearmetal.service.compile.plan import fault_index
from nearmetal.service.compile.session import Session
from nearmetal.service.compile.subset import Refusal
from nearmetal.service.integers import LEAST, MOST

_BUILTINS = (*(range, min, max, int, bool), *(len, abs))
_COMPARISONS = {operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge}
_INSTEAD = {
    "list": "use an array of the state",
    "dict": "use a table of the state",
    "set": "use a table of the state",
    "bytes": "use copy, compare and the other functions of nearmetal.service",
    "bytearray": "write into reply, or into an array of the state",
    "print": "count in a field of the state",
    "str": "use bytes",
    "float": "use integers",
    "divmod": "write // and %",
    "pow": "write << or multiply",
    "sum": "write a loop",
    "enumerate": "write for i in range(len(x))",
    "isinstance": "a value has one type here",
}
_COMPILED = frozenset(COMPILED.values())
_INPLACE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.ifloordiv: operator.floordiv,
    operator.imod: operator.mod,
    operator.ilshift: operator.lshift,
    operator.irshift: operator.rshift,
    operator.iand: operator.and_,
    operator.ior: operator.or_,
    operator.ixor: operator.xor,
}


@register_pass(mutates_CFG=True, analysis_only=False)
class Translate(FunctionPass):  # type: ignore[misc]
    """Replace the operations of one function."""

    _name = "nearmetal_translate"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        session: Session = state.pipeline_session
        _Function(session, state.func_ir, state.func_id.func).translate()
        state.typingctx.refresh()  # knows the intrinsics of constants that were made here
        return True


class _Function:
    def __init__(self, session: Session, func_ir: Any, function: Any) -> None:
        self.session = session
        self.ir = func_ir
        self.function = function
        self.body: list[Any] = []
        self.scope: Any = None
        self.label = 0
        self.returns = False  # somewhere, so that the type of its result is known

    def translate(self) -> None:
        self.ir._definitions = build_definitions(self.ir.blocks)
        self.returns = any(
            isinstance(block.body[-1], ir.Return) for block in self.ir.blocks.values()
        )
        for label, block in self.ir.blocks.items():
            self.label = label
            self.scope = block.scope
            self.body = []
            for statement in self._without_message(block):
                self._statement(statement)
            block.body = self.body
        self.ir._definitions = build_definitions(self.ir.blocks)
        postproc.PostProcessor(self.ir).run()

    def refuse(self, loc: ir.Loc, text: str) -> Refusal:
        return Refusal(loc.filename, loc.line, text)

    # Statements

    def _statement(self, statement: Any) -> None:
        loc = statement.loc
        if isinstance(statement, ir.Assign):
            statement.value = self._value(statement.value, loc)
            self.body.append(statement)
        elif isinstance(statement, ir.SetItem):
            arguments = [statement.target, statement.index, statement.value]
            intrinsic = items.setitem[self.session.checked]
            self._assign(self._call(intrinsic, arguments, loc), loc)
        elif isinstance(statement, ir.Raise):
            self._raise(statement)
        elif isinstance(statement, ir.DelItem | ir.DelAttr):
            raise self.refuse(loc, "del is not supported")
        else:
            self.body.append(statement)

    def _assign(self, value: Any, loc: Any) -> Any:
        var = ir.Var(self.scope, mk_unique_var("$nm"), loc)
        self.body.append(ir.Assign(value, var, loc))
        return var

    def _number(self, value: int, loc: Any) -> Any:
        return self._assign(ir.Const(value, loc), loc)

    def _global(self, value: Any, loc: Any) -> Any:
        return self._assign(ir.Global("nm", value, loc), loc)

    def _call(self, intrinsic: Any, arguments: list[Any], loc: Any, *, place: bool = True) -> Any:
        if place:
            arguments = [*arguments, self._number(self.session.place(loc), loc)]
        return ir.Expr.call(self._global(intrinsic, loc), arguments, (), loc)

    def _raise(self, statement: Any) -> None:
        error = self._raised_class(statement)
        kept = self._number(fault_index(error), statement.loc)
        self._assign(self._call(operations.raised, [kept], statement.loc), statement.loc)
        # What follows is never reached; it may not change the type of the function's result.
        if self.returns:
            self.body.append(ir.Jump(self.label, statement.loc))
            return
        nothing = self._number(0, statement.loc)
        cast = self._assign(ir.Expr.cast(nothing, statement.loc), statement.loc)
        self.body.append(ir.Return(cast, statement.loc))

    def _raised_class(self, statement: Any) -> type[BaseException]:
        value = self._definition(statement.exception)
        if isinstance(value, ir.Expr) and value.op == "call":
            value = self._definition(value.func)
        error = getattr(value, "value", None)
        if isinstance(error, type) and issubclass(error, Exception):
            return error
        raise self.refuse(statement.loc, "raise takes the class of an exception, or a call of it")

    def _without_message(self, block: Any) -> list[Any]:
        """Return a block's statements without those that only make the exception that it raises.

        Its message may be text, which is not supported; only class and line are kept.
        """
        last = block.body[-1]
        if not isinstance(last, ir.Raise) or last.exception is None:
            return list(block.body)
        made = {last.exception.name}
        kept = []
        for statement in reversed(block.body):
            if isinstance(statement, ir.Assign) and statement.target.name in made:
                made |= {var.name for var in statement.list_vars() if var.name.startswith("$")}
            else:
                kept.append(statement)
        return kept[::-1]

    def _definition(self, var: Any) -> Any:
        """Return what a variable stands for; None: not one thing.

        A function that is called with a condition among its arguments waits in a variable of each
        branch.
        """
        found, seen, waiting = [], set(), [var]
        while waiting:
            name = waiting.pop().name
            if name in seen:
                continue
            seen.add(name)
            known = self.ir._definitions.get(name, [])
            waiting += [value for value in known if isinstance(value, ir.Var)]
            found += [value for value in known if not isinstance(value, ir.Var)]
        return found[0] if len(found) == 1 else None

    # Values

    def _value(self, value: Any, loc: Any) -> Any:
        if isinstance(value, ir.Const):
            return self._known(value.value, value, "", loc)
        if isinstance(value, ir.Global | ir.FreeVar):
            return self._known(value.value, value, value.name, loc)
        if isinstance(value, ir.Expr):
            return self._expression(value, loc)
        return value

    def _known(self, known: Any, value: Any, name: str, loc: Any) -> Any:
        """Return the value of a constant or a global name."""
        if isinstance(known, bytes):
            return self._call(items.constant(known), [], loc, place=False)
        if isinstance(known, bool) or known is None:
            return value
        if isinstance(known, int):
            if not LEAST <= known <= MOST:
                raise self.refuse(
                    loc,
                    f"{name or hex(known)} does not fit in 64 bits with sign; results wrap by"
                    " themselves, so leave a mask of 64 bits out",
                )
            return ir.Const(int(known), loc)
        if isinstance(known, tuple) and known and all(_fits(item) for item in known):
            return self._call(items.constant_array(known), [], loc, place=False)
        if isinstance(known, python_types.FunctionType):
            if known in self.session.intrinsics:
                return ir.Const(None, loc)  # its calls name the compiler's form of it
            if not self.session.has(known):
                raise self.refuse(
                    loc,
                    f"{name} is a function of {known.__module__}; only those of the file, of files"
                    " beside it and of nearmetal.service can be called",
                )
            return ir.Global(name, self.session.dispatcher(known), loc)
        return self._named(known, value, name, loc)

    def _named(self, known: Any, value: Any, name: str, loc: Any) -> Any:
        if isinstance(known, python_types.ModuleType | Intrinsic):
            return value
        if isinstance(known, type) and issubclass(known, BaseException):
            return value
        if any(known is one for one in _BUILTINS):
            return value
        if isinstance(known, float):
            raise self.refuse(loc, f"{name or known}: floats are not supported; use integers")
        if isinstance(known, str) and not name:
            return value  # the message of an exception; elsewhere its type is refused
        if getattr(builtins, name, None) is known:
            instead = _INSTEAD.get(name, "see docs/services.md for what is")
            raise self.refuse(loc, f"{name}() is not supported; {instead}")
        raise self.refuse(
            loc,
            f"{name} is of type {type(known).__name__}; a name from outside a function must be an"
            " int, bytes, a tuple of ints or a function",
        )

    def _expression(self, value: Any, loc: Any) -> Any:
        if value.op in ("binop", "inplace_binop"):
            return self._binary(value, loc)
        if value.op == "unary":
            return self._unary(value, loc)
        if value.op == "getitem":
            intrinsic = items.getitem[self.session.checked]
            return self._call(intrinsic, [value.value, value.index], loc)
        if value.op == "getattr":
            return self._attribute(value, loc)
        if value.op == "call":
            return self._called(value, loc)
        return value

    def _binary(self, value: Any, loc: Any) -> Any:
        fn = _INPLACE.get(value.fn, value.fn)
        if fn in _COMPARISONS:
            return self._call(operations.COMPARE[fn], [value.lhs, value.rhs], loc)
        return self._call(operations.BINARY[fn], [value.lhs, value.rhs], loc)

    def _unary(self, value: Any, loc: Any) -> Any:
        fn = getattr(operator, value.fn) if isinstance(value.fn, str) else value.fn
        if fn is operator.not_:
            return value
        return self._call(operations.UNARY[fn], [value.value], loc)

    def _attribute(self, value: Any, loc: Any) -> Any:
        """Return what a name in a module stands for; a field is left to the types."""
        base = self._definition(value.value)
        module = getattr(base, "value", None)
        if not isinstance(module, python_types.ModuleType):
            return value
        if not hasattr(module, value.attr):
            raise self.refuse(loc, f"{module.__name__} has no {value.attr}")
        known = getattr(module, value.attr)
        return self._known(known, ir.Global(value.attr, known, loc), value.attr, loc)

    def _callee(self, var: Any) -> Any:
        """Return the function that a variable holds; None: it is no fixed one."""
        value = self._definition(var)
        if isinstance(value, ir.Expr) and value.op == "getattr":
            module = getattr(self._definition(value.value), "value", None)
            if isinstance(module, python_types.ModuleType):
                return getattr(module, value.attr, None)
            return None
        return getattr(value, "value", None)

    def _called(self, value: Any, loc: Any) -> Any:
        callee = self._callee(value.func)
        if value.vararg is not None or value.varkwarg is not None:
            raise self.refuse(loc, "* and ** in a call are not supported; write the arguments")
        if callee is builtins.len and len(value.args) == 1:
            return self._call(items.length, list(value.args), loc, place=False)
        if callee is builtins.abs and len(value.args) == 1:
            return self._call(operations.absolute, list(value.args), loc)
        if not isinstance(callee, Hashable):
            callee = None
        intrinsic = self.session.intrinsics.get(callee)
        if intrinsic is not None:
            return self._own(callee, intrinsic, self._bound(callee, value, loc), loc)
        if callee in _COMPILED and self.function.__module__ != callee.__module__:
            arguments = self._bound(callee, value, loc)
            through = self.session.calling(callee, len(arguments))
            return self._call(through, arguments, loc)
        if isinstance(callee, python_types.FunctionType):
            self._bound(callee, value, loc)
        if callee is None:
            definition = self._definition(value.func)
            attribute = getattr(definition, "attr", "this")
            raise self.refuse(
                loc,
                f"{attribute}() is no function of the file or of nearmetal.service; methods and"
                " functions in variables are not supported",
            )
        return value

    def _own(self, callee: Any, intrinsic: Any, arguments: list[Any], loc: Any) -> Any:
        """Return the call of a function of nearmetal.service."""
        if isinstance(intrinsic, Intrinsic):
            return self._call(intrinsic, arguments, loc)
        # Written in Python itself: its ranges are checked here, so that a fault names this line.
        seed, data, begin, end = arguments
        zero, seed_bytes = self._number(0, loc), self._number(16, loc)
        for call in ([seed, zero, seed_bytes], [data, begin, end]):
            self._assign(self._call(ranges.check[self.session.checked], call, loc), loc)
        dispatcher = self._global(self.session.dispatcher(intrinsic), loc)
        return ir.Expr.call(dispatcher, arguments, (), loc)

    def _bound(self, callee: Any, value: Any, loc: Any) -> list[Any]:
        """Return a call's arguments in order, named ones too."""
        try:
            bound = inspect.signature(callee).bind(*value.args, **dict(value.kws))
        except TypeError as error:
            raise self.refuse(loc, f"{callee.__name__}: {error}") from None
        return list(bound.arguments.values())


def _fits(item: object) -> bool:
    return type(item) is int and LEAST <= item <= MOST
