"""The list of wires: every module of wires/, found by listing the folder.

A new wire is a new file there, with no change elsewhere.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import Annotated

from pydantic import AfterValidator

from nearmetal.errors import BadInputError, unknown
from nearmetal.topology import wires
from nearmetal.topology.wire import Wire


@functools.cache
def known() -> tuple[Wire, ...]:
    """Return all wires, sorted by name."""
    names = (module.name for module in pkgutil.iter_modules(wires.__path__))
    modules = (importlib.import_module(f"{wires.__name__}.{name}") for name in names)
    found: list[Wire] = [module.WIRE for module in modules]
    return tuple(sorted(found, key=lambda wire: wire.name))


def find(name: str) -> Wire:
    """Return the wire of that name. Raises BadInputError."""
    for wire in known():
        if wire.name == name:
            return wire
    raise BadInputError(_unknown(name))


def stand_in(wire: Wire) -> Wire | None:
    """Return the wire that carries its rows where it cannot be made; None: they are skipped."""
    return next((each for each in known() if each.stands_in_for == wire), None)


def limited_by(rung: str) -> tuple[Wire, ...]:
    """Return the wires whose null responder is this row; () for all other rows."""
    return tuple(wire for wire in known() if wire.null_responder == rung)


def _unknown(name: str) -> str:
    return unknown("wire", name, [wire.name for wire in known()])


def _checked(name: str) -> str:
    if name not in (wire.name for wire in known()):
        raise ValueError(_unknown(name))
    return name


WireName = Annotated[str, AfterValidator(_checked)]


def _edition_checked(name: str) -> str:
    names = sorted({each.name for wire in known() for each in wire.editions})
    if name not in names:
        raise ValueError(unknown("generator", name, names))
    return name


EditionName = Annotated[str, AfterValidator(_edition_checked)]
