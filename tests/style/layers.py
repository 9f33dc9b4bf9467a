"""Imports between modules, found with ast; those inside functions and for types count too."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Layers = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Import:
    """One module imports another; names are relative to the package, such as `trial.start`."""

    user: str
    used: str
    line: int

    def __str__(self) -> str:
        return f"{self.user}:{self.line} imports {self.used}"


def imports(package: Path) -> list[Import]:
    """Return every import between two modules of the package."""
    names = {_name(path, package): path for path in sorted(package.rglob("*.py"))}
    return [
        Import(user, used, line)
        for user, path in names.items()
        for used, line in _used(path, package.name, names)
        if used != user
    ]


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts)


def _used(path: Path, package: str, names: Mapping[str, Path]) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == package:
                    yield _module(alias.name, names), node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            if (node.module or "").split(".")[0] == package:
                for alias in node.names:
                    yield _module(f"{node.module}.{alias.name}", names), node.lineno


def _module(dotted: str, names: Mapping[str, Path]) -> str:
    """Return the module that `from a.b import c` reads: a.b.c, or a.b, or a package's __init__."""
    parts = dotted.split(".")[1:]
    for end in (len(parts), len(parts) - 1):
        word = ".".join(parts[:end])
        if word in names:
            return word
        if f"{word}.__init__".lstrip(".") in names:
            return f"{word}.__init__".lstrip(".")
    return ".".join(parts)


def upward(found: Iterable[Import], layers: Layers, folder: str = "") -> list[str]:
    """Return the imports between entries of a folder that do not lead to a lower layer."""
    level = {name: number for number, names in enumerate(layers) for name in names}
    wrong = []
    for each in found:
        user, used = _entry(each.user, folder), _entry(each.used, folder)
        if user is None or used is None or user == used or "__init__" in (user, used):
            continue
        if level[used] >= level[user]:
            wrong.append(str(each))
    return wrong


def unknown(found: Iterable[Import], layers: Layers, folder: str = "") -> set[str]:
    """Return the entries of a folder that no layer names."""
    named = {name for names in layers for name in names} | {"__init__"}
    entries = {_entry(name, folder) for each in found for name in (each.user, each.used)}
    return {name for name in entries if name is not None} - named


def _entry(module: str, folder: str) -> str | None:
    """Return b for a.b.c in the folder a; None if the module is not in the folder."""
    prefix = f"{folder}." if folder else ""
    return module[len(prefix) :].split(".")[0] if module.startswith(prefix) else None


def circles(found: Sequence[Import]) -> list[str]:
    """Return, for every folder, entries that import one another, directly or not."""
    folders = {""} | {
        ".".join(each.user.split(".")[:n])
        for each in found
        for n in range(1, each.user.count(".") + 1)
    }
    wrong = []
    for folder in sorted(folders):
        arrows: dict[str, set[str]] = {}
        for each in found:
            user, used = _entry(each.user, folder), _entry(each.used, folder)
            if user is not None and used is not None and user != used:
                arrows.setdefault(user, set()).add(used)
        if circle := _circle(arrows):
            wrong.append(f"{folder or 'the package'}: {' -> '.join(circle)}")
    return wrong


def _circle(arrows: Mapping[str, set[str]]) -> list[str]:
    """Return a path from an entry back to itself; empty if there is none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for used in sorted(arrows.get(name, ())):
            if circle := walk(used, [*way, name]):
                return circle
        done.add(name)
        return []

    return next((circle for name in sorted(arrows) if (circle := walk(name, []))), [])
