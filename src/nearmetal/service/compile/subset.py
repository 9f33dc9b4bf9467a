"""The part of Python that is compiled, checked on the source: file, line, what to write instead.

What only the types can tell is left to pipeline.py, and names to translate.py.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from operator import (
    add,
    and_,
    floordiv,
    invert,
    lshift,
    mod,
    mul,
    neg,
    or_,
    pos,
    rshift,
    sub,
    xor,
)
from pathlib import Path
from typing import Any

from nearmetal.service.integers import SHIFT_MAX, wrap


class Refusal(Exception):  # noqa: N818 - entries.build turns it into a BadInputError
    """A service uses what is not supported: file, line, what to write instead."""

    def __init__(self, path: Path | str, line: int, text: str) -> None:
        super().__init__(f"{path}:{line}: {text}")
        self.path, self.line, self.text = str(path), line, text


_REFUSED: dict[type[ast.AST], str] = {
    ast.ListComp: "a list is not supported; write a loop",
    ast.SetComp: "a set is not supported; use a table of the state",
    ast.DictComp: "a dict is not supported; use a table of the state",
    ast.GeneratorExp: "a generator is not supported; write a loop",
    ast.List: "a list is not supported; use an array of the state",
    ast.Set: "a set is not supported; use a table of the state",
    ast.Dict: "a dict is not supported; use a table of the state",
    ast.Lambda: "lambda is not supported; write a function at the file's top",
    ast.FunctionDef: "a function inside a function is not supported; write it at the file's top",
    ast.AsyncFunctionDef: "async is not supported; answer is called once for each request",
    ast.ClassDef: "a class inside a function is not supported; write it at the file's top",
    ast.Yield: "yield is not supported here",
    ast.YieldFrom: "yield is not supported here",
    ast.Await: "await is not supported; answer is called once for each request",
    ast.AsyncFor: "async is not supported; answer is called once for each request",
    ast.AsyncWith: "async is not supported; answer is called once for each request",
    ast.Try: "try is not supported; a fault drops the request. Test before, for example len()",
    ast.TryStar: "try is not supported; a fault drops the request. Test before, for example len()",
    ast.With: "with is not supported",
    ast.Import: "import stands at the file's top",
    ast.ImportFrom: "import stands at the file's top",
    ast.Global: "global is not supported; use a field of the state",
    ast.Nonlocal: "nonlocal is not supported; use a field of the state",
    ast.JoinedStr: "text is not supported; use bytes and copy",
    ast.Starred: "* is not supported here; write the arguments",
    ast.Delete: "del is not supported",
    ast.Slice: "a slice is not supported; use copy, compare or fill with begin and end",
    ast.Match: "match is not supported; write if and elif",
    ast.Div: "/ gives a float; write //",
    ast.Pow: "** is not supported; write << or multiply",
    ast.MatMult: "@ is not supported",
    ast.In: "`in` is not supported; write a loop, or find in a table",
    ast.NotIn: "`in` is not supported; write a loop, or find in a table",
    ast.Is: "`is` is not supported; write ==",
    ast.IsNot: "`is` is not supported; write !=",
}


_NUMBERS: dict[type[Any], Callable[..., int]] = {
    ast.Add: add,
    ast.Sub: sub,
    ast.Mult: mul,
    ast.LShift: lshift,
    ast.RShift: rshift,
    ast.FloorDiv: floordiv,
    ast.Mod: mod,
    ast.BitAnd: and_,
    ast.BitOr: or_,
    ast.BitXor: xor,
    ast.USub: neg,
    ast.Invert: invert,
    ast.UAdd: pos,
}


def check(function: Callable[..., Any]) -> None:
    """Raise Refusal for the first thing in a function that is not supported."""
    code = function.__code__
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError, TypeError):
        return  # made at run time: an entry
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise Refusal(code.co_filename, first, "only a function written with def can be compiled")
    if definition.decorator_list:
        raise Refusal(code.co_filename, first, "a decorator is not supported here")
    given = definition.args
    if given.vararg or given.kwarg or given.kwonlyargs:
        raise Refusal(
            code.co_filename, first, "* among parameters is not supported; write each by its name"
        )
    for found in _found(definition.body):
        line, text = found
        raise Refusal(code.co_filename, first - 1 + line, text)


def _found(body: list[ast.stmt]) -> list[tuple[int, str]]:
    """Return what is not supported, the first line first."""
    found = []
    for statement in body:
        line = statement.lineno
        for node in _with_lines(statement):
            line = getattr(node, "lineno", line)
            text = _REFUSED.get(type(node)) or _said(node)
            if text:
                found.append((line, text))
    return sorted(found)


def _with_lines(root: ast.AST) -> list[ast.AST]:
    """Return the nodes in their order, operators behind the expression that has their line.

    Texts for readers are left out.
    """
    nodes = [root]
    for child in ast.iter_child_nodes(root):
        if not _is_text_for_readers(root, child):
            nodes += _with_lines(child)
    return nodes


def _is_text_for_readers(statement: ast.AST, child: ast.AST) -> bool:
    """Whether a part of a statement is an exception's message, or a docstring."""
    if isinstance(statement, ast.Assert):
        return child is not statement.test
    return isinstance(statement, ast.Raise) or (
        isinstance(statement, ast.Expr) and isinstance(child, ast.Constant)
    )


def _said(node: ast.AST) -> str | None:
    if isinstance(node, ast.For):
        return _said_of_loop(node)
    if isinstance(node, ast.Raise | ast.Assert):
        return _said_of_fault(node)
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        try:
            _folded(node)
        except (ArithmeticError, ValueError):
            return "these numbers do not fit in 64 bits with sign; write the result itself"
    if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
        return f"{node.value} is a float; use integers"
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return "text is not supported; write b'...'"
    return None


def _folded(node: ast.AST) -> int | None:
    """Return the value of an expression of numbers, which CPython computes when it compiles.

    None: it is no such expression. OverflowError: a part of it does not fit, or cannot be computed;
    at run time it would wrap or be a fault.
    """
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value  # load() has refused one that does not fit
    operands = [node.operand] if isinstance(node, ast.UnaryOp) else []
    if isinstance(node, ast.BinOp):
        operands = [node.left, node.right]
    values = [value for operand in operands if (value := _folded(operand)) is not None]
    function = _NUMBERS.get(type(getattr(node, "op", None)))
    if function is None or not values or len(values) < len(operands):
        return None
    result = function(*values)
    if wrap(result) != result or (
        function in (lshift, rshift) and not 0 <= values[-1] <= SHIFT_MAX
    ):
        raise OverflowError
    return result


def _said_of_loop(node: ast.For) -> str | None:
    call = node.iter
    if not (
        isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"
    ):
        return "a loop runs over range(...); write for i in range(len(x))"
    if len(call.args) == 3 and not _is_number(call.args[2]):
        return "the step of range must be a number other than 0, as in range(10, 0, -1)"
    return None


def _said_of_fault(node: ast.Raise | ast.Assert) -> str | None:
    if isinstance(node, ast.Assert):
        message = [node.msg] if node.msg else []
    elif node.exc is None or node.cause is not None:
        return "raise takes the class of an exception, or a call of it"
    else:
        message = node.exc.args if isinstance(node.exc, ast.Call) else []
    made = (ast.Call, ast.Subscript, ast.BinOp, ast.Attribute)
    if any(isinstance(part, made) for each in message for part in ast.walk(each)):
        return "the message of an exception is made of names only: it is for CPython"
    return None


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value != 0
