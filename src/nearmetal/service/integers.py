"""Integers that mean the same in CPython and compiled: 64 bits with sign, which wrap.

CPython's integers have no end. So `answer`, `prepare` and the functions that they call are compiled
from their source once more, with each operation whose result may not fit put into `wrap`; lines and
names stay. A shift by less than 0 or more than 63 bits is a ValueError, as processors disagree on
it.

A number in such a function that does not fit is refused: `x & 0xFFFFFFFFFFFFFFFF` is a habit of
numbers without end, and would change nothing here.
"""

from __future__ import annotations

import ast
import dis
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, SimpleNamespace

from nearmetal.errors import BadInputError

LEAST, MOST = -(1 << 63), (1 << 63) - 1
SHIFT_MAX = 63
_BITS = (1 << 64) - 1


def wrap(value: object) -> object:
    """Return the number of 64 bits with sign that has the same low bits; others as they are."""
    if type(value) is not int or LEAST <= value <= MOST:
        return value
    return ((value + MOST + 1) & _BITS) + LEAST


def shift(count: int) -> int:
    """Return the count of a shift. ValueError: there is no such shift of 64 bits."""
    if not 0 <= count <= SHIFT_MAX:
        raise ValueError(f"a shift by {count} bits; it must be 0 to {SHIFT_MAX}")
    return count


def reachable(*roots: Callable[..., object], files: frozenset[str]) -> list[FunctionType]:
    """Return the functions of these files that the roots may call, the roots first."""
    found: dict[FunctionType, None] = {}
    waiting = [root for root in roots if isinstance(root, FunctionType)]
    while waiting:
        function = waiting.pop(0)
        if function not in found and function.__code__.co_filename in files:
            found[function] = None
            waiting += [value for _, value in named(function) if isinstance(value, FunctionType)]
    return list(found)


def named(function: FunctionType) -> Iterator[tuple[str, object]]:
    """Return the names of modules' values that a function reads, with the values."""
    for code in _codes(function.__code__):
        value: object = None
        for each in dis.get_instructions(code):
            if each.opname in ("LOAD_GLOBAL", "LOAD_NAME") and each.argval in function.__globals__:
                value = function.__globals__[each.argval]
            elif isinstance(value, ModuleType) and each.argval in vars(value):
                value = vars(value)[each.argval]  # the attribute of a module
            else:
                value = None
                continue
            yield each.argval, value


def rewritten(functions: list[FunctionType]) -> dict[FunctionType, FunctionType]:
    """Return for each function one with the same code whose integers wrap.

    The new functions call one another. BadInputError: a number does not fit.
    """
    spaces: dict[int, dict[str, object]] = {}
    new: dict[FunctionType, FunctionType] = {}
    for function in functions:
        _check_values(function)
        space = spaces.setdefault(id(function.__globals__), dict(function.__globals__))
        new[function] = _rewrite(function, space)
    modules = {
        id(vars(value)): value
        for space in spaces.values()
        for value in space.values()
        if isinstance(value, ModuleType)
    }
    stand_ins = {
        modules[key]: SimpleNamespace(**space) for key, space in spaces.items() if key in modules
    }
    for space in (*spaces.values(), *map(vars, stand_ins.values())):
        for name, value in space.items():
            if isinstance(value, FunctionType):
                space[name] = new.get(value, value)
            elif isinstance(value, ModuleType):
                space[name] = stand_ins.get(value, value)
    return new


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


def _check_values(function: FunctionType) -> None:
    for name, value in named(function):
        if isinstance(value, int) and not LEAST <= value <= MOST:
            code = function.__code__
            raise _too_large(code.co_filename, code.co_firstlineno, f"{name} = {value}")


def _too_large(file: str, line: int, what: str) -> BadInputError:
    return BadInputError(
        f"{Path(file).name}:{line}: {what} does not fit in 64 bits with sign; results wrap by"
        " themselves, so leave a mask of 64 bits out"
    )


def _rewrite(function: FunctionType, space: dict[str, object]) -> FunctionType:
    code = function.__code__
    tree = ast.parse(Path(code.co_filename).read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.lineno == code.co_firstlineno:
            break
    else:
        raise BadInputError(
            f"{Path(code.co_filename).name}:{code.co_firstlineno}: {function.__name__} must be"
            " written as a plain def, without decorators"
        )
    if function.__closure__ or "<locals>" in function.__qualname__:
        raise BadInputError(
            f"{Path(code.co_filename).name}:{code.co_firstlineno}: {function.__name__} is made in"
            " another function; write it at the file's top"
        )
    node.returns = None
    for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        each.annotation = None
    body = ast.Module([_Wrapping(code.co_filename).visit(node)], [])
    made: dict[str, object] = {}
    # Default values of parameters are evaluated where the names are; the function stays there.
    exec(compile(ast.fix_missing_locations(body), code.co_filename, "exec"), space | _OURS, made)
    new = made[node.name]
    assert isinstance(new, FunctionType)
    space.update(_OURS)
    return FunctionType(new.__code__, space, new.__name__, new.__defaults__)


_OURS = {"__wrap__": wrap, "__shift__": shift}
_WRAPPED = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.LShift)
_SHIFTS = (ast.LShift, ast.RShift)


class _Wrapping(ast.NodeTransformer):
    """Puts `wrap` around what may not fit, and `shift` around each count of a shift."""

    def __init__(self, file: str) -> None:
        self._file = file

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, int) and node.value > MOST:
            raise _too_large(self._file, node.lineno, f"{node.value:#x}")
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.USub):
            inner = node.operand
            if isinstance(inner, ast.Constant) and inner.value in (-LEAST, MOST):
                return node
            self.generic_visit(node)
            return node if isinstance(inner, ast.Constant) else _call("__wrap__", node)
        self.generic_visit(node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, _SHIFTS):
            node.right = _call("__shift__", node.right)
        return _call("__wrap__", node) if isinstance(node.op, _WRAPPED) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        """Wrap what a name gets; a field or an item keeps the low bits by itself."""
        self.generic_visit(node)
        if isinstance(node.op, _SHIFTS):
            node.value = _call("__shift__", node.value)
        if not isinstance(node.target, ast.Name) or not isinstance(node.op, _WRAPPED):
            return node
        before = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        sum_ = ast.copy_location(ast.BinOp(before, node.op, node.value), node)
        return ast.copy_location(ast.Assign([node.target], _call("__wrap__", sum_)), node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        absolute = isinstance(node.func, ast.Name) and node.func.id == "abs"
        return _call("__wrap__", node) if absolute else node


def _call(name: str, node: ast.expr) -> ast.expr:
    function = ast.copy_location(ast.Name(name, ast.Load()), node)
    return ast.copy_location(ast.Call(function, [node], []), node)
