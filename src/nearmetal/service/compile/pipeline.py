"""Numba, with our pass in its pipeline: from functions to LLVM IR."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import errors, ir, types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.typed_passes import NopythonTypeInference
from numba.core.untyped_passes import IRProcessing

from nearmetal.service.compile import subset
from nearmetal.service.compile.session import Session
from nearmetal.service.compile.shapes import Array, Record, Reply, View, field_type
from nearmetal.service.compile.subset import Refusal
from nearmetal.service.compile.translate import Translate

_SAID = re.compile(r"@@(.*?)@@", re.DOTALL)
_ALLOWED = (
    *(types.Boolean, types.NoneType, types.RangeType, types.RangeIteratorType),
    *(types.Dispatcher, types.Function, types.NumberClass, types.Module, types.ExceptionClass),
    *(
        types.ExceptionInstance,
        View,
        Reply,
        Array,
        Record,
        types.Omitted,
        types.UndefinedFunctionType,
        types.CPointer,
    ),
)


@register_pass(mutates_CFG=False, analysis_only=True)
class CheckTypes(AnalysisPass):  # type: ignore[misc]
    """Refuse variables of a type that needs a runtime, or that CPython treats differently."""

    _name = "nearmetal_check_types"

    def __init__(self) -> None:
        AnalysisPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        lines = {
            statement.target.name: statement.loc
            for block in state.func_ir.blocks.values()
            for statement in block.find_insts(ir.Assign)
        }
        _refuse_undefined(state.func_ir)
        _refuse_writes(state)
        for name, of in state.typemap.items():
            if not _is_allowed(of):
                loc = lines.get(name, state.func_ir.loc)
                raise Refusal(loc.filename, loc.line, _refused(of))
        return False


def _refuse_undefined(func_ir: Any) -> None:
    """Refuse a variable that may have no value: Numba would take 0 where CPython stops."""
    for block in func_ir.blocks.values():
        for statement in block.find_insts(ir.Assign):
            value = statement.value
            if not (isinstance(value, ir.Expr) and value.op == "phi"):
                continue
            if any(one is ir.UNDEFINED for one in value.incoming_values):
                name = statement.target.unversioned_name
                line = _first_use(func_ir, statement.target.name) or statement.loc
                raise Refusal(
                    line.filename,
                    line.line,
                    f"{name} may have no value here; give it one before, on every way",
                )


def _first_use(func_ir: Any, name: str) -> Any:
    """Return the first place that reads a variable; None: there is none."""
    found = [
        statement.loc
        for block in func_ir.blocks.values()
        for statement in block.body
        if any(var.name == name for var in statement.list_vars())
        and getattr(getattr(statement, "target", None), "name", None) != name
    ]
    return min(found, key=lambda loc: loc.line, default=None)


def _refuse_writes(state: Any) -> None:
    """Refuse writes to fields that prepare, or any function, may only read."""
    for block in state.func_ir.blocks.values():
        for statement in block.find_insts(ir.SetAttr):
            of, loc = state.typemap[statement.target.name], statement.loc
            if not isinstance(of, Record):
                continue
            what = f"{of.title}.{statement.attr}"
            if field_type(of, statement.attr) != types.int64:
                raise Refusal(loc.filename, loc.line, f"{what} is an array; assign to its items")
            if not of.writable:
                raise Refusal(loc.filename, loc.line, f"{what} is only read here")


def _is_allowed(of: Any) -> bool:
    if isinstance(of, types.Integer):
        return bool(of == types.int64 or isinstance(of, types.IntegerLiteral))
    if isinstance(of, types.BaseTuple):
        return all(_is_allowed(one) for one in of)
    if isinstance(of, types.Pair):
        return True  # of a loop over a range
    return isinstance(of, _ALLOWED)


def _refused(of: Any) -> str:
    if isinstance(of, types.Float):
        return "a float is not supported; use integers"
    if isinstance(of, types.UnicodeType | types.StringLiteral):
        return "text is not supported; write b'...'"
    if isinstance(of, types.Optional):
        return "None is not supported; return an int on every way"
    if isinstance(of, types.Integer):
        return "an int is signed and has 64 bits; this one may be larger"
    return f"a value of Numba's type {of} is not supported"


def compiler_of(session: Session) -> type[CompilerBase]:
    """Return the class by which Numba compiles the functions of one service."""

    class Compiler(CompilerBase):  # type: ignore[misc]
        def define_pipelines(self) -> list[Any]:
            self.state.pipeline_session = session
            manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
            manager.add_pass_after(Translate, IRProcessing)
            manager.add_pass_after(CheckTypes, NopythonTypeInference)
            manager.finalize()
            return [manager]

    return Compiler


def dispatcher(function: Callable[..., Any], session: Session) -> Any:
    """Return Numba's dispatcher of a function, not compiled yet. Raises Refusal."""
    subset.check(function)
    return njit(
        error_model="python",
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        pipeline_class=compiler_of(session),
    )(function)


def compiled(
    function: Callable[..., Any], signature: Any, session: Session, named: Callable[..., Any]
) -> tuple[str, str]:
    """Return the LLVM IR of a function with all that it calls, and the function's name in it.

    Raises Refusal; of a fault without a line of the user's it names that of the function `named`.
    """
    made = session.dispatcher(function)
    try:
        made.compile(signature)
    except errors.NumbaError as error:
        raise _explained(error, named) from None
    overload = made.overloads[signature.args]
    return overload.library.get_llvm_str(), overload.fndesc.llvm_func_name


_ATTRIBUTE = re.compile(r"Unknown attribute '(\w+)' of type ([a-z.]+)")
_SET_ATTRIBUTE = re.compile(r"Cannot resolve setattr: \(([a-z.]+)[^)]*\)\.(\w+)")
_UNIFIED = re.compile(r"Cannot unify .+ for '(\w+)(?:\.\d+)?'")
_NAME = re.compile(r"(?:NameError: name|Variable) ('\w+' is not defined)")
_PLACE = re.compile(r'File "([^"]+)", line (\d+)')
_OWN = Path(subset.__file__).parents[1]


def _explained(error: errors.NumbaError, function: Callable[..., Any]) -> Refusal:
    """Return one clear line for an error of Numba: where, and what to write instead."""
    text = str(error)
    path, line = _place(text, function)
    return Refusal(path, line, _told(text))


def _place(text: str, function: Callable[..., Any]) -> tuple[str, int]:
    """Return the innermost place that is not in this package: a line of the user's."""
    for found, line in _PLACE.findall(text):
        path = Path(found).resolve()
        if not path.is_relative_to(_OWN):
            return str(path), int(line)
    code = function.__code__
    return code.co_filename, code.co_firstlineno


def _told(text: str) -> str:
    if said := _SAID.search(text):
        return said[1]
    if found := _ATTRIBUTE.search(text):
        return f"{found[2]} has no field {found[1]}"
    if found := _SET_ATTRIBUTE.search(text):
        return f"{found[1]} has no field {found[2]}"
    if found := _UNIFIED.search(text):
        return f"{found[1]} is of one type here and of another there; use two names"
    if found := _NAME.search(text):
        return found[1]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = next((line for line in lines if not line.startswith("Failed in")), "no reason given")
    return f"this is not supported here ({first})"
