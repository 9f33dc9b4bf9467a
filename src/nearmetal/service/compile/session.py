"""The state that the functions of one service share while they are compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

from numba.core import ir

from nearmetal.service.both import COMPILED
from nearmetal.service.compile import operations, siphash
from nearmetal.service.compile.plan import Place
from nearmetal.service.compile.subset import Refusal
from nearmetal.service.integers import named

_MODULES = {each.__module__ for each in COMPILED.values()} | {siphash.keyed_hash.__module__}


class Session:
    """All that the functions of one service have in common while they are compiled."""

    def __init__(
        self,
        intrinsics: dict[Callable[..., Any], Any],
        dispatch: Callable[[Callable[..., Any], Session], Any],
        *,
        own: frozenset[str],
        checked: bool,
    ) -> None:
        self._own = own  # the user's files
        self.intrinsics = intrinsics  # CPython's function: the compiler's
        self.checked = checked
        self.files: list[str] = []
        self._dispatch = dispatch
        self._dispatchers: dict[Callable[..., Any], Any] = {}
        self._calling: dict[Callable[..., Any], Any] = {}

    def place(self, loc: ir.Loc) -> int:
        """Return a place as the number that faults carry."""
        if loc.filename not in self.files:
            self.files.append(loc.filename)
        return Place(self.files.index(loc.filename), loc.line).number

    def dispatcher(self, function: Callable[..., Any]) -> Any:
        """Return the compiled form of a function of the service."""
        if function not in self._dispatchers:
            self._dispatchers[function] = self._dispatch(function, self)
        return self._dispatchers[function]

    def has(self, function: FunctionType) -> bool:
        """Whether a function is the user's, or one that services may use."""
        code = function.__code__
        return code.co_filename in self._own or function.__module__ in _MODULES

    def calling(self, function: Callable[..., Any], count: int) -> Any:
        """Return the intrinsic that calls a function of nearmetal.service."""
        if function not in self._calling:
            self._calling[function] = operations.calling(self.dispatcher(function), count)
        return self._calling[function]

    def calls(self, function: FunctionType) -> Iterator[FunctionType]:
        """Return the functions that a function names, of those that can be compiled."""
        for _, value in named(function):
            if isinstance(value, FunctionType) and value not in self.intrinsics and self.has(value):
                yield value


def refuse_recursion(session: Session, function: FunctionType) -> None:
    """Raise Refusal where a function may call itself, directly or through others."""
    path: list[FunctionType] = []

    def visit(one: FunctionType) -> None:
        if one in path:
            names = " -> ".join(f.__name__ for f in [*path[path.index(one) :], one])
            code = one.__code__
            raise Refusal(
                code.co_filename,
                code.co_firstlineno,
                f"{names}: a function may not call itself; write a loop",
            )
        path.append(one)
        for other in session.calls(one):
            visit(other)
        path.pop()

    visit(function)
