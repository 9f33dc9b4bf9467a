"""The parcel that is deployed: our source, users' services, and programs for alike machines.

A parcel is named by the hash of its content, so nothing is sent twice. A machine that differs gets
no programs and builds for itself (`./nearmetal build`, which installs what the build needs).
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nearmetal.build import programs as build
from nearmetal.build.programs import Build
from nearmetal.errors import NearmetalError
from nearmetal.paths import source_root
from nearmetal.spec.services import ServiceRow
from nearmetal.testbed.own_files import Carried
from nearmetal.testbed.provider import Facts, Parcel

_TREE = ("src", "native", "specs", "tests/c", "data/reference")
_FILES = ("nearmetal", "pyproject.toml", "meson.build", "meson_options.txt", "LICENSE", "README.md")
_BUILT = "built"
# Flags of x86-64-v2, the level that meson.build names, beyond x86-64.
_ISA_FLAGS = frozenset({"cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"})


def alike(here: Facts, there: Facts) -> str | None:
    """Return why programs built here cannot run there, or None if they can."""
    if there.machine != here.machine:
        return f"it is {there.machine}, not {here.machine}"
    if there.distribution != here.distribution:
        return f"it runs {there.distribution}, not {here.distribution}"
    if missing := sorted(_ISA_FLAGS - there.cpu_flags):
        return f"its processor has no {', '.join(missing)}"
    return None


def pack(folder: Path, built: Build | None, own: Iterable[Carried] = ()) -> Parcel:
    """Write the archive into a folder.

    built: programs to include, or None. own: users' services.
    """
    members = dict(_sources())
    for each in own:
        members |= each.files
    digest = hashlib.sha256()
    if built is not None:
        ours = {n: p for n, p in built.programs.items() if n.startswith("nm-")}
        members |= {f"{_BUILT}/{name}": Path(program.path) for name, program in ours.items()}
        told = built.model_copy(update={"programs": ours, "folder": _BUILT})
        table = told.model_dump_json().encode()
    else:
        table = b""
    digest.update(table)
    archive = folder / ("source.tar.gz" if built is None else "built.tar.gz")
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name in sorted(members):
            data, mode = members[name].read_bytes(), members[name].stat().st_mode & 0o755
            digest.update(f"{name} {mode} {len(data)}\n".encode())
            digest.update(data)
            _add(tar, name, data, mode)
        if table:
            _add(tar, f"{_BUILT}/build.json", table, 0o644)
    return Parcel(archive, digest.hexdigest())


def built(programs: Iterable[str], own: Sequence[ServiceRow] = ()) -> Build:
    """Return the programs on a machine: sent or built there; foreign ones are found or fetched.

    own: users' services as they are on that machine, of which programs are wanted.
    """
    programs, file = list(programs), source_root() / _BUILT / "build.json"
    if not file.exists():
        return build.build(programs, own=own)
    told = Build.model_validate_json(file.read_text(encoding="utf-8"))
    found, missing = {}, dict(told.missing)
    for name in programs:
        if name in told.programs:
            path = str(file.with_name(name))
            found[name] = told.programs[name].model_copy(update={"path": path})
        elif name.startswith("nm-"):
            missing.setdefault(name, f"{name} was not built")
        else:
            try:
                found[name] = build.foreign(name)
            except NearmetalError as error:
                missing[name] = str(error)
    return told.model_copy(
        update={"programs": found, "missing": missing, "folder": str(file.parent)}
    )


def came_along() -> bool:
    """Whether programs were deployed with this source."""
    return (source_root() / _BUILT / "build.json").exists()


def _sources() -> Iterator[tuple[str, Path]]:
    root = source_root()
    for name in _FILES:
        yield name, root / name
    for top in _TREE:
        for folder, below, files in os.walk(root / top):
            below[:] = [name for name in below if name != "__pycache__"]
            for file in files:
                path = Path(folder) / file
                if path.is_file() and not path.is_symlink():
                    yield str(path.relative_to(root)), path


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    """Add a file without owner and time, so that the archive depends on the content alone."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))
