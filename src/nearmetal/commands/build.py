"""build: build all native programs, or those of named rows; print which are missing, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from rich.console import Console

from nearmetal.build import programs
from nearmetal.build.programs import Build
from nearmetal.errors import CannotRunError
from nearmetal.spec.programs import programs_of_row
from nearmetal.spec.rows import Named
from nearmetal.spec.services import ServiceRow


def build(rows: Sequence[str], own: Sequence[ServiceRow] = (), *, as_json: bool) -> None:
    """Print one line per program. Raises CannotRunError: a program of a named row is missing."""
    wanted = None if not rows else list(dict.fromkeys(_programs(rows, Named(1, own=tuple(own)))))
    with Console(stderr=True).status("configuring") as status:
        built = programs.build(wanted, progress=status.update, own=own)
    for line in _as_json(built) if as_json else _in_words(built):
        print(line)
    if wanted is not None and built.missing:
        raise CannotRunError("; ".join(dict.fromkeys(built.missing.values())))


def _programs(rows: Sequence[str], named: Named) -> Iterator[str]:
    for rung in map(named.rung, rows):
        if rung.absent is not None:
            raise CannotRunError(f"{rung.name}: {rung.absent}")
        yield from programs_of_row(rung, named.usual(rung) or rung.services)


def _in_words(built: Build) -> Iterator[str]:
    for name, program in built.programs.items():
        yield f"{name:16} {program.image_bytes:>10} bytes with libraries  {program.path}"
    for name, reason in built.missing.items():
        yield f"{name:16} missing: {reason}"


def _as_json(built: Build) -> Iterator[str]:
    for name, program in built.programs.items():
        found = {"image_bytes": program.image_bytes, "path": program.path, "missing": None}
        yield json.dumps({"program": name, **found})
    for name, reason in built.missing.items():
        yield json.dumps({"program": name, "image_bytes": None, "path": None, "missing": reason})
