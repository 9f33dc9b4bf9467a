"""Compiled services, kept: the way in for the build. Imports Numba only to compile.

A service is compiled again when one of these changed: its files, what its init read, the arguments,
the state that init left, this package, Numba, Python.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from nearmetal.errors import CannotRunError
from nearmetal.service.compile.plan import Compiled
from nearmetal.service.load import Loaded

_PACKAGE = Path(__file__).resolve().parents[1]


def compiled(loaded: Loaded, kept: Path, *, checked: bool = True) -> Compiled:
    """Return a service as an object file. kept: the folder of all that were compiled before.

    BadInputError: file, line, and what to write instead. CannotRunError: Numba is missing.
    """
    key = key_of(loaded, checked=checked)
    folder = kept / f"{loaded.service.name}-{key[:16]}"
    found = _read(folder, key)
    if found is not None:
        return found
    from nearmetal.service.compile.entries import build

    made = build(loaded, checked=checked)
    _write(folder, key, made)
    return made


def key_of(loaded: Loaded, *, checked: bool) -> str:
    """Return a hash of all that the object depends on. Raises CannotRunError: Numba is missing."""
    parts = {
        "files": dict(loaded.hashes),
        "arguments": dict(loaded.arguments),
        "block": hashlib.sha256(loaded.block).hexdigest(),
        "layout": loaded.service.state.layout.digest,
        "service": repr(loaded.service),
        "checked": checked,
        "package": dict(_package()),
        "numba": _version("numba"),
        "llvmlite": _version("llvmlite"),
        "python": platform.python_version(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise CannotRunError(
            f"a service in Python is compiled by Numba, and {name} is missing: let ./nearmetal"
            " install it, or run pip install 'nearmetal[service]'; host-py runs without it"
        ) from None


def _package() -> Iterator[tuple[str, str]]:
    for path in sorted(_PACKAGE.rglob("*.py")):
        yield str(path.relative_to(_PACKAGE)), hashlib.sha256(path.read_bytes()).hexdigest()


def _read(folder: Path, key: str) -> Compiled | None:
    """Return what is kept; None: nothing, or of another key, or not whole."""
    try:
        about = json.loads((folder / "compiled.json").read_text(encoding="utf-8"))
        made = (folder / "service.o").read_bytes()
    except (OSError, ValueError):
        return None
    if about.pop("key", None) != key or about.pop("sha256") != hashlib.sha256(made).hexdigest():
        return None
    return Compiled(
        object=made,
        files=tuple(about["files"]),
        has_prepare=about["has_prepare"],
        stack_bytes=about["stack_bytes"],
        lacks=tuple(about["lacks"]),
    )


def _write(folder: Path, key: str, made: Compiled) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        **asdict(made),
        "object": None,
        "sha256": hashlib.sha256(made.object).hexdigest(),
        "key": key,
    }
    (folder / "service.o").write_bytes(made.object)
    (folder / "compiled.json").write_text(json.dumps(about), encoding="utf-8")
