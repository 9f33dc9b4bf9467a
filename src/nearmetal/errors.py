"""What can go wrong in the user's world. Programmer errors assert instead."""

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
    """A machine of the testbed is gone, and the run with it; what was measured is kept."""


class CannotRunError(NearmetalError):
    """A rung cannot run on this machine: it keeps its row, with this reason."""


class FullError(NearmetalError):
    """A file cannot grow: the disk is full, or what we may have of it."""


# What to do, by what the kernel answered.
_CURES = {
    errno.ENOSPC: "free some of that disk, then start again",
    errno.EDQUOT: "your share of that disk is used up: free some of it, then start again",
    errno.EFBIG: "no file may be larger (ulimit -f): raise that, then start again",
    errno.EACCES: "start it as a user who may write there, or name another place",
    errno.EPERM: "start as root, or with the capability that it wants",
    errno.EROFS: "it can only be read: name a place that can be written to",
    errno.EISDIR: "it is a folder, and a file is wanted",
    errno.ENOTDIR: "a part of that path is a file, and a folder is wanted",
    errno.EEXIST: "it is there already: name another, or remove it",
    errno.ENOENT: "see that it is there",
    errno.ENODEV: "this kernel has no such device: load its module",
    errno.ENXIO: "this kernel has no such device: load its module",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EMFILE: "more files may not be open (ulimit -n): raise that",
    errno.ENFILE: "close other programs: no more files can be open on this machine",
    errno.EAGAIN: "no more processes may be started (ulimit -u): end some",
    errno.ENOMEM: "end other programs, or give this one more memory",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Each names a place by which a path may have been chosen.
_PLACES = ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "TMPDIR")
_OURS = str(Path(__file__).parent)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT)


def in_words(error: BaseException) -> str | None:
    """What the system refused, in a line: what, where, what to do. None: it is no refusal of the
    system's, but a fault of ours."""
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
    """Whether a file could not grow."""
    return error.errno in _FULL


def place(error: BaseException) -> str:
    """Where it was raised, for a developer: file and line."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if each.filename.startswith(_OURS)] or frames
    return f"{ours[-1].filename.rpartition('/')[2]}:{ours[-1].lineno}" if ours else "here"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """It, what it was raised in the midst of, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _code(error: BaseException) -> int | None:
    """The kernel's number; 0: it gave none. None: the kernel refused nothing."""
    if isinstance(error, OSError):
        return error.errno or 0
    netlink = sys.modules.get("pyroute2.netlink.exceptions")  # heavy: not imported for this
    if netlink is not None and isinstance(error, netlink.NetlinkError):
        return abs(int(error.code))
    return None


def _cure(code: int, path: object) -> str:
    """What to do; empty: nothing is known."""
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
    """In words: a rung, wire or service of that name is not there; the nearest is, and these."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unknown {kind} {name!r}{hint} (known: {', '.join(known)})"
