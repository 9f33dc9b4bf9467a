"""Claims on the kernel's pool of huge pages: how many pages each process of nearmetal added to it.

A claim is given back by difference, so that pages that other programs or other runs add or take
meanwhile stay. A claim is a small file: pool size and wish before the act, then the pages added.

The whole kernel shares the pool, and a container's /run may disappear with the container. So each
claim has a copy, its note, in the folder nearmetal/ of the kernel's devtmpfs, which all mounts of
devtmpfs share: after a container was killed, `clean` of any root that sees its end gives the pages
back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nearmetal.machine.processes.lock import of_all, taken

_ALONE_S = 5.0
_NOTED = "noted"
_POOLS = Path("/sys/kernel/mm/hugepages")
# New mount calls (linux/mount.h); their numbers are the same on all architectures.
_FSOPEN, _FSCONFIG, _FSMOUNT, _CREATE, _CLOEXEC = 430, 431, 432, 6, 1


def take(claim: Path, file: Path, wanted: int) -> None:
    """Write a claim and raise the pool (file nr_hugepages). The kernel may give fewer pages."""
    with _alone(), _notes() as notes:
        both = [*_of(claim, file, notes), claim]
        before = _persistent(file)
        for path in both:
            path.write_text(f"{before} {wanted} {_NOTED * (len(both) - 1)}\n", encoding="ascii")
        _set(file, before + wanted)
        came = max(0, _persistent(file) - before)
        for path in both:
            with path.open("a", encoding="ascii") as written:
                written.write(f"{came}\n")


def give_back(claim: Path, file: Path) -> None:
    """Undo a claim. May be repeated, and does nothing for a claim that was never written."""
    with _alone(), _notes() as notes, contextlib.suppress(FileNotFoundError):
        is_noted = _NOTED in claim.read_text(encoding="ascii").split()
        # If the note is gone, another root has already given the pages back.
        _give_back((*_of(claim, file, notes), claim) if is_noted else (claim,), file)
        claim.unlink(missing_ok=True)


def give_back_of_the_dead(is_dead: Callable[[str], bool]) -> Iterator[tuple[str, OSError | None]]:
    """Undo the noted claims of dead owners.

    is_dead is called with the name of a claim. Yields each name that was tried, with the system's
    error if the claim could not be undone.
    """
    with _alone(), _notes() as notes:
        for note in sorted(notes.iterdir()) if notes else []:
            name, _, pool = note.name.partition("@")
            if is_dead(name):
                try:
                    _give_back((note,), _POOLS / pool / "nr_hugepages")
                except OSError as error:
                    yield name, error
                else:
                    yield name, None


def _give_back(both: tuple[Path, ...], file: Path) -> None:
    """Give back the pages that the first file of `both` records, and remove all files."""
    with contextlib.suppress(FileNotFoundError):
        raised = _raised(both[0], file)
        if raised > 0 and not os.access(file, os.W_OK):  # check before the record is removed
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))
        for path in both:
            path.unlink(missing_ok=True)
        if raised > 0:
            _set(file, max(0, _persistent(file) - raised))


def _of(claim: Path, file: Path, notes: Path | None) -> list[Path]:
    """Return the path of the claim's note in a list; an empty list for a made-up machine."""
    if notes is None or not file.is_relative_to(_POOLS):
        return []
    return [notes / f"{claim.name}@{file.parent.name}"]


@contextmanager
def _notes() -> Iterator[Path | None]:
    """Yield the folder of notes, or None without the right to it (and so to raise the pool)."""
    handle = _devtmpfs()
    if handle is None:
        yield None
        return
    try:
        folder = Path(f"/proc/self/fd/{handle}/nearmetal")
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            yield None
        else:
            yield folder
    finally:
        os.close(handle)


def _devtmpfs() -> int | None:
    """Open the kernel's devtmpfs without mounting it (fsopen(2)). None: no right, or not there."""
    libc = ctypes.CDLL(None)
    context = libc.syscall(_FSOPEN, b"devtmpfs", _CLOEXEC)
    if context < 0:
        return None
    try:
        if libc.syscall(_FSCONFIG, context, _CREATE, None, None, 0) < 0:
            return None
        handle = libc.syscall(_FSMOUNT, context, _CLOEXEC, 0)
        return int(handle) if handle >= 0 else None
    finally:
        os.close(context)


def _raised(claim: Path, file: Path) -> int:
    """Return by how many pages the claim raised the pool; 0 if its writer was killed before."""
    words = [word for word in claim.read_text(encoding="ascii").split() if word != _NOTED]
    if len(words) == 3:
        return int(words[2])
    if len(words) < 2:
        return 0
    before, wanted = map(int, words)  # killed in between: at most what the pool has grown since
    return min(wanted, max(0, _persistent(file) - before))


def _persistent(file: Path) -> int:
    """Return the number of persistent pages.

    Surplus pages disappear with the process that still has them
    (Documentation/admin-guide/mm/hugetlbpage.rst).
    """
    total = int(file.read_text(encoding="ascii"))
    with contextlib.suppress(FileNotFoundError):
        total -= int(file.with_name("surplus_hugepages").read_text(encoding="ascii"))
    return total


def _set(file: Path, total: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # a made-up machine was removed
        file.write_text(str(total), encoding="ascii")


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock of all nearmetal processes that share the pool.

    Wait for the lock at most _ALONE_S: a program that holds it for longer is not part of nearmetal.
    """
    handle = os.open(of_all(1), os.O_RDONLY)
    try:
        taken(handle, _ALONE_S)
        yield
    finally:
        os.close(handle)
