"""Where things lie: the source tree, and the cache that holds everything built or fetched; and how
the files of a run are written: whole, or not at all.

Nothing is written into the source tree but runs/, so it may be read-only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from nearmetal.errors import FullError, full, in_words


def source_root() -> Path:
    """The clone that this package was started from."""
    return Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Ours alone under the XDG cache; the launcher computes the same path."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nearmetal"


def build_dir(variant: str, tree: Path | None = None) -> Path:
    """One build folder for each clone and variant, so that two clones do not mix; tree: another
    one than ours."""
    key = hashlib.sha256(str(tree or source_root()).encode()).hexdigest()[:12]
    return cache_dir() / "build" / f"{key}-{variant}"


def write_whole(path: Path, data: str | bytes) -> None:
    """Replace a file, or leave it as it was; on the disk when this returns. FullError: no room."""
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    content = data.encode() if isinstance(data, str) else data
    try:
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _grown(path, error) from error


def append_whole(path: Path, line: str) -> None:
    """Add a line, or leave the file as it was. FullError: no room. A line that a signal finds
    written stays: it is a finished trial."""
    content = whole = line.encode() + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        size_bytes = os.fstat(handle).st_size
        try:
            while content:  # a disk that is nearly full takes a part
                content = content[os.write(handle, content) :]
            os.fsync(handle)  # some file systems say only now that there is no room
        except BaseException as error:
            there = os.fstat(handle).st_size == size_bytes + len(whole)
            if not there or isinstance(error, OSError):
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, size_bytes)
            raise
    except OSError as error:
        raise _grown(path, error) from error
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Have the names in it on the disk, too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _grown(path: Path, error: OSError) -> OSError | FullError:
    """Of a file that could not grow, in words; another error as it is, with its place."""
    named = OSError(error.errno, error.strerror, str(path))
    return FullError(str(in_words(named))) if full(error) else named
