"""Errors that a user can act on. Programmer errors are assertions instead."""

from __future__ import annotations

import difflib
import errno
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path


class NearmetalError(Exception):
    """Something failed. The message is one line: what, where, what to do."""

    exit_code = 1


class BadInputError(NearmetalError):
    """A spec, flag or file is wrong."""

    exit_code = 2


class LostError(NearmetalError):
    """A machine of the testbed is gone, so the run ends; the samples taken are kept."""


class CannotRunError(NearmetalError):
    """A rung cannot run on this machine; its row stays in the report, with this reason."""


class FullError(NearmetalError):
    """A file cannot grow: the disk, a quota or a limit is full."""


# Cure for each error number.
_CURES = {
    errno.ENOSPC: "free some space on that disk, then start again",
    errno.EDQUOT: "your share of that disk is used up: free some space, then start again",
    errno.EFBIG: "it exceeds the limit of a file's size (ulimit -f): raise that, then start again",
    errno.EACCES: "start it as a user who may write there, or name another place",
    errno.EPERM: "start as root, or with the capability that it needs",
    errno.EROFS: "it can only be read: name a place that can be written to",
    errno.EISDIR: "it is a folder, but must be a file",
    errno.ENOTDIR: "a part of that path is a file, but must be a folder",
    errno.EEXIST: "it exists already: name another, or remove it",
    errno.ENOENT: "check that it exists",
    errno.ENODEV: "this kernel has no such device: load its module",
    errno.ENXIO: "this kernel has no such device: load its module",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EMFILE: "too many files are open for one process (ulimit -n): raise that limit",
    errno.ENFILE: "too many files are open on this machine: close other programs",
    errno.EAGAIN: "no more processes may be started (ulimit -u): end some",
    errno.ENOMEM: "end other programs, or give this one more memory",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Variables that choose a folder.
_PLACES = ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "TMPDIR")
_OURS = str(Path(__file__).parent)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT)


def in_words(error: BaseException) -> str | None:
    """Describe an error of the system in one line: what, where, what to do. None: it is a bug."""
    if isinstance(error, UnicodeError):
        return _of_text(error)
    if isinstance(error, MemoryError):
        return f"no memory is left; {_CURES[errno.ENOMEM]}"
    code = _code(error)
    if code is None:
        return None
    what = os.strerror(code) if code else " ".join(str(error).split())
    path = getattr(error, "filename", None)
    where = os.fsdecode(path) if isinstance(path, str | bytes) else place(error)
    return "; ".join(filter(None, (f"{where}: {what}", _cure(code, path))))


def full(error: OSError) -> bool:
    """Whether the error says that a file could not grow."""
    return error.errno in _FULL


def place(error: BaseException) -> str:
    """File and line where an error was raised, for a developer."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if each.filename.startswith(_OURS)] or frames
    return f"{ours[-1].filename.rpartition('/')[2]}:{ours[-1].lineno}" if ours else "here"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, then its cause or the error during whose handling it was raised, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _code(error: BaseException) -> int | None:
    """The error's number; 0: it has none. None: it is not an error of the system."""
    if isinstance(error, OSError):
        return error.errno or 0
    netlink = sys.modules.get("pyroute2.netlink.exceptions")  # heavy: not imported for this
    if netlink is not None and isinstance(error, netlink.NetlinkError):
        return abs(int(error.code))
    return None


def _cure(code: int, path: object) -> str:
    """Advice for an error; empty: none is known."""
    for name in _PLACES:
        value = os.environ.get(name)
        if code in _REFUSED and value and isinstance(path, str) and path.startswith(value):
            return f"{name} names that place: unset it, or set it to one of your own"
    return _CURES.get(code, "")


def _of_text(error: UnicodeError) -> str:
    if isinstance(error, UnicodeEncodeError):
        found = ascii(error.object[error.start : error.end])
        return (
            f"{found} cannot be written as {error.encoding}; set LC_ALL=C.UTF-8, and"
            " PYTHONIOENCODING to nothing"
        )
    return f"{place(error)}: a text that is not UTF-8 ({error}); save it as UTF-8"


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """Say that no rung, wire or service has this name, with the nearest name and all known ones."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(known)})"
