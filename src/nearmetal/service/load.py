"""Loading a service's file: executed once, checked, and its state initialised.

Any fault of it is one line: file, line, and what is wrong.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import cast

from nearmetal.errors import BadInputError
from nearmetal.service.args import Args
from nearmetal.service.beside import BesideFinder, one_line
from nearmetal.service.buffers import Reply, Request, Source
from nearmetal.service.declaration import Service
from nearmetal.service.integers import reachable, rewritten
from nearmetal.service.state import State

Answer = Callable[[Request, Reply, State, Source, int], int]
REQUESTS_MAX = 1_000_000
# The functions of a file and their parameters; answer is the one that must be there.
PARAMETERS = {
    "answer": ("request", "reply", "state", "source", "now_ns"),
    "prepare": ("request", "state"),
    "init": ("state", "args"),
    "requests": (),
    "before": (),
    "cases": (),
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A service's file, ready to be compiled or run."""

    path: Path
    service: Service
    module: ModuleType  # as CPython executed it: what a compiler reads
    functions: Mapping[str, FunctionType]  # those of PARAMETERS that the file has
    compiled: tuple[FunctionType, ...]  # answer, prepare and what they call in the user's files
    answer: Answer  # with integers of 64 bits: what CPython runs
    block: bytes  # the state after init, without a seed
    hashes: Mapping[str, str]  # SHA-256 of the file, of what it imports from its folder, and reads
    arguments: Mapping[str, str]
    read: Mapping[str, str]  # files that init read, by the argument that names each
    finder: BesideFinder = field(repr=False)

    def state(self, seed: bytes = bytes(16)) -> State:
        """Make a state as a program has it at its start."""
        state = self.service.state()
        state.start(self.block, seed)
        return state

    def call(self, name: str) -> tuple[object, ...]:
        """Return all that requests, before or cases yields; empty: the file has no such function.

        BadInputError: it fails, or does not end.
        """
        if name not in self.functions:
            return ()
        with self.finder.active(), one_line(self.finder, f"{name}: "):
            given = self.functions[name]()
            found = tuple(islice(given, REQUESTS_MAX + 1)) if isinstance(given, Iterable) else None
        if found is None:
            what = "None" if given is None else f"a value of type {type(given).__name__}"
            raise BadInputError(f"{self.path}: {name} gives {what}; return a list, or yield each")
        if len(found) > REQUESTS_MAX:
            raise BadInputError(
                f"{self.path}: {name} gives more than {REQUESTS_MAX:,} requests; give fewer"
            )
        return found


def load(path: Path, arguments: Mapping[str, str] | None = None) -> Loaded:
    """Execute a service's file and its `init`. BadInputError: one line with all that helps."""
    finder = BesideFinder(path)
    with finder.active(), one_line(finder, ""):
        module = finder.execute()
    _refuse_doubles(finder)
    service = _declared(module, path)
    functions = dict(_functions(module, finder))
    args = Args(arguments, finder.folder)
    state = service.state()
    if "init" in functions:
        with finder.active(), one_line(finder, "init: "):
            functions["init"](state, args)
    args.check_all_read()
    roots = [functions[name] for name in ("answer", "prepare") if name in functions]
    compiled = reachable(*roots, files=frozenset(map(str, finder.hashes)))
    with one_line(finder, ""):
        wrapping = rewritten(compiled)
    return Loaded(
        path=path,
        service=service,
        module=module,
        functions=functions,
        compiled=tuple(compiled),
        answer=cast(Answer, wrapping[functions["answer"]]),
        block=bytes(state.block),
        hashes={file.name: one for file, one in finder.hashes.items()} | args.hashes,
        arguments=dict(arguments or {}),
        read=args.files,
        finder=finder,
    )


def _declared(module: ModuleType, path: Path) -> Service:
    service = vars(module).get("service")
    if isinstance(service, Service):
        return service
    for name, value in vars(module).items():
        if isinstance(value, Service):
            raise BadInputError(f"{path}: its Service must have the name service, not {name}")
    raise BadInputError(
        f'{path}: declares no service; write service = Service("{path.stem}", port=7000)'
    )


def _refuse_doubles(finder: BesideFinder) -> None:
    """Refuse a file that has its service, or one of its functions, twice: the last would be it."""
    lines: dict[str, int] = {}
    for node in ast.parse(finder.file.read_bytes()).body:
        for name in _written(node):
            if name in lines:
                place = finder.line(None, node.lineno)
                raise BadInputError(
                    f"{place}{name} is there already, in line {lines[name]}; remove one"
                )
            lines[name] = node.lineno


def _written(node: ast.stmt) -> Iterator[str]:
    """Return what a statement at the top of a file defines, of the names that this module reads."""
    if isinstance(node, ast.FunctionDef) and node.name in PARAMETERS:
        yield node.name
    for target in node.targets if isinstance(node, ast.Assign) else ():
        if isinstance(target, ast.Name) and target.id in ("service", *PARAMETERS):
            yield target.id


def _functions(module: ModuleType, finder: BesideFinder) -> Iterator[tuple[str, FunctionType]]:
    path = finder.shown
    for name, parameters in PARAMETERS.items():
        function = vars(module).get(name)
        if function is None:
            if name == "answer":
                raise BadInputError(f"{path}: has no function answer({', '.join(parameters)})")
            continue
        head = f"def {name}({', '.join(parameters)})"
        if not isinstance(function, FunctionType):
            raise BadInputError(f"{path}: {name} is not a function; write {head}")
        place = finder.line(function.__code__.co_filename, function.__code__.co_firstlineno)
        if Path(function.__code__.co_filename) not in finder.hashes:
            raise BadInputError(
                f"{path}: {name} is no function of this file or of one beside it; write {head}"
            )
        if not _takes(function.__code__, len(parameters)):
            raise BadInputError(f"{place}{name} has other parameters; write {head}")
        if function.__code__.co_flags & _NOT_CALLED_ONCE and (name in ONCE or _is_async(function)):
            raise BadInputError(f"{place}{name} is async, or it yields; write {head}")
        yield name, function


# Functions whose call is all that they do; requests and the like may yield.
ONCE = ("answer", "prepare", "init")
_NOT_CALLED_ONCE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def _is_async(function: FunctionType) -> bool:
    return function.__code__.co_flags & inspect.CO_GENERATOR == 0


def _takes(code: CodeType, count: int) -> bool:
    more = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    plain = code.co_flags & more == 0 and code.co_kwonlyargcount == 0
    return plain and code.co_argcount == count
