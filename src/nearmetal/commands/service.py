"""new-service and check-service: write a service's file, and try one in CPython."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nearmetal.commands import own
from nearmetal.service.load import load
from nearmetal.service.new import write
from nearmetal.service.tried import tried


def new(name: str) -> None:
    """Write NAME.py into this folder, and try it. BadInputError: it cannot be written."""
    path = write(name, Path())
    print(f"wrote {path}; {tried(load(path))}")
    print(f"After each change try it again: ./nearmetal check-service {path}")


def check(file: Path, arguments: Sequence[str], *, as_json: bool) -> None:
    """Try a service's file. BadInputError: one line with what is wrong."""
    done = tried(load(file, own.arguments(arguments)))
    if not as_json:
        print(done)
        return
    load_ = None
    if done.load is not None:
        load_ = {"requests": len(done.load.mix), "unchecked_bytes": done.load.unchecked_bytes}
    counts = {"requests": done.requests, "tests": done.tests, "load": load_}
    print(json.dumps({"service": done.name, **counts}))
