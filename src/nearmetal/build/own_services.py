"""Users' services for the native build: compiled from Python, or named by the path of a C file.

The folder is the meson option services_dir: a table of rows, and a folder for each service
(native/service/README.md). A file that did not change is not written again, so that meson and ninja
find nothing to do.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from collections.abc import Iterable
from pathlib import Path

from nearmetal.errors import CannotRunError
from nearmetal.paths import cache_dir, write_changed
from nearmetal.samples import Frozen
from nearmetal.service.compile import folder as compiled_folder
from nearmetal.service.compile.cache import compiled
from nearmetal.spec import own_service
from nearmetal.spec.services import ServiceRow

KEPT_MAX = 256  # programs of users' services; older ones are removed


class OwnBuilt(Frozen):
    """How a user's service was made (build.json)."""

    hashes: dict[str, str]  # SHA-256 of its files, and of the files that its init read
    arguments: dict[str, str]
    compiler: str  # of its functions
    object_sha256: str | None  # None: compiled from C with the program
    stack_bytes: int | None  # the largest frame of its functions
    checked: bool


def write(folder: Path, own: Iterable[ServiceRow]) -> tuple[dict[str, OwnBuilt], dict[str, str]]:
    """Compile users' services and write the folder; with none, an empty table.

    Returns how each was made, and for the others why they cannot be compiled here. BadInputError:
    the compiler refuses one.
    """
    made: dict[str, OwnBuilt] = {}
    missing: dict[str, str] = {}
    lines: list[str] = []
    for row in own:
        try:
            made[row.name] = _written(folder, row)
        except CannotRunError as error:
            missing[row.name] = str(error)
            continue
        lines.append(compiled_folder.line(row.name, row.gauges, row.counts, row.drops))
    folder.mkdir(parents=True, exist_ok=True)
    write_changed(folder / "table", "".join(f"{line}\n" for line in lines))
    return made, missing


def keep(folder: Path, program: Path) -> Path:
    """Keep a user's program under the hash of its content; return where.

    The next build may be of other services: ninja then removes the programs of these.
    """
    content = program.read_bytes()
    place = folder / "programs" / hashlib.sha256(content).hexdigest()[:16]
    kept = place / program.name
    if not kept.is_file():
        place.mkdir(parents=True, exist_ok=True)
        write_changed(kept, content)
        kept.chmod(program.stat().st_mode & 0o777)
    kept.touch()
    every = sorted((folder / "programs").iterdir(), key=lambda each: each.stat().st_mtime)
    for old in every[:-KEPT_MAX]:
        shutil.rmtree(old, ignore_errors=True)
    return kept


def _written(folder: Path, row: ServiceRow) -> OwnBuilt:
    assert row.own is not None
    loaded = own_service.loaded(row)
    about = {"hashes": row.own.hashes, "arguments": dict(row.own.arguments)}
    place = folder / row.name
    if row.own.c is not None:
        place.mkdir(parents=True, exist_ok=True)
        (place / "service.o").unlink(missing_ok=True)
        write_changed(place / "service.c", f'#include "{row.own.c}"\n')
        return OwnBuilt(
            **about, compiler="the C compiler", object_sha256=None, stack_bytes=None, checked=False
        )
    found = compiled(loaded, cache_dir() / "services", checked=row.own.checked)
    compiled_folder.write_one(place, loaded, found)
    return OwnBuilt(
        **about,
        compiler=f"Numba {importlib.metadata.version('numba')}",
        object_sha256=hashlib.sha256(found.object).hexdigest(),
        stack_bytes=found.stack_bytes,
        checked=row.own.checked,
    )
