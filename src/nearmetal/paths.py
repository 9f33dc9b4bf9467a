"""Paths of the source tree and of the cache, and functions that write a file whole or not at all.

The cache holds everything that is built or fetched. Nothing is written into the source tree, so it
may be read-only; runs/ is made in the current folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from nearmetal.errors import FullError, full, in_words


def source_root() -> Path:
    """Top folder of the tree that this package was imported from."""
    return Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """The project's folder in the XDG cache; the launcher computes the same path."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nearmetal"


def build_dir(variant: str, tree: Path | None = None) -> Path:
    """Build folder of a tree and a variant; tree None: the tree of this package."""
    key = hashlib.sha256(str(tree or source_root()).encode()).hexdigest()[:12]
    return cache_dir() / "build" / f"{key}-{variant}"


def write_whole(path: Path, data: str | bytes) -> None:
    """Replace a file whole, or leave it as it was; the data is on the disk when this returns.

    FullError: the disk has no room. OSError names the path.
    """
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


def write_changed(path: Path, data: str | bytes) -> None:
    """Write a file whole where its content is another; an equal one keeps its time."""
    content = data.encode() if isinstance(data, str) else data
    if not path.is_file() or path.read_bytes() != content:
        write_whole(path, content)


def append_whole(path: Path, line: str) -> None:
    """Append a line whole, or leave the file as it was; the data is on the disk at return.

    FullError: the disk has no room. If a signal's exception arrives after the whole line was
    written, the line stays: it is a finished trial.
    """
    content = whole = line.encode() + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        size_bytes = os.fstat(handle).st_size
        try:
            while content:  # a nearly full disk takes only a part
                content = content[os.write(handle, content) :]
            os.fsync(handle)  # some file systems report a full disk only here
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
    """Write a folder's names to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _grown(path: Path, error: OSError) -> OSError | FullError:
    """FullError for a file that could not grow, else the same OSError with its path."""
    named = OSError(error.errno, error.strerror, str(path))
    return FullError(str(in_words(named))) if full(error) else named
