"""Claims on the kernel's pool of huge pages: by how many pages each of us has raised it.

The pool is given back by difference: what other programs, or others of us, add or take meanwhile
stays theirs. A claim is a small file: the pool and the wish before the act, then what came of it.

The whole kernel shares the pool, and a container's /run may go with it. So each claim is noted in
the folder nearmetal/ of the kernel's devtmpfs, too, which all its mounts share: what a killed
container raised is given back by any root's `clean` that sees it is dead.
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
# New mount calls (linux/mount.h); the numbers are those of every architecture.
_FSOPEN, _FSCONFIG, _FSMOUNT, _CREATE, _CLOEXEC = 430, 431, 432, 6, 1


def take(claim: Path, file: Path, wanted: int) -> None:
    """Write a claim and raise the pool (its file nr_hugepages); the kernel may give fewer."""
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
    """Undo a claim; doing it twice is the same as once, and so is one that was never written."""
    with _alone(), _notes() as notes, contextlib.suppress(FileNotFoundError):
        is_noted = _NOTED in claim.read_text(encoding="ascii").split()
        # Where its note has gone, another root gave it back.
        _give_back((*_of(claim, file, notes), claim) if is_noted else (claim,), file)
        claim.unlink(missing_ok=True)


def give_back_of_the_dead(is_dead: Callable[[str], bool]) -> Iterator[tuple[str, OSError | None]]:
    """Undo the noted claims of dead owners. is_dead: asked with the name of a claim. Yields each
    name, with the system's error where it could not be undone."""
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
    """What the first of them says."""
    with contextlib.suppress(FileNotFoundError):
        raised = _raised(both[0], file)
        if raised > 0 and not os.access(file, os.W_OK):  # before it is forgotten
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))
        for path in both:
            path.unlink(missing_ok=True)
        if raised > 0:
            _set(file, max(0, _persistent(file) - raised))


def _of(claim: Path, file: Path, notes: Path | None) -> list[Path]:
    """Its note; none of a made-up machine's."""
    if notes is None or not file.is_relative_to(_POOLS):
        return []
    return [notes / f"{claim.name}@{file.parent.name}"]


@contextmanager
def _notes() -> Iterator[Path | None]:
    """The folder of notes; None: we may not ask for it, nor could we raise the pool, then."""
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
    """The kernel's own, mounted nowhere (fsopen(2)). None: we may not, or it has none."""
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
    """By how many pages its writer raised the pool; 0: it did not come to that."""
    words = [word for word in claim.read_text(encoding="ascii").split() if word != _NOTED]
    if len(words) == 3:
        return int(words[2])
    if len(words) < 2:
        return 0
    before, wanted = map(int, words)  # killed in the act: no more than the pool has grown since
    return min(wanted, max(0, _persistent(file) - before))


def _persistent(file: Path) -> int:
    """Pages that stay. Surplus ones go with the process that still has them: it is about to end
    (Documentation/admin-guide/mm/hugetlbpage.rst)."""
    total = int(file.read_text(encoding="ascii"))
    with contextlib.suppress(FileNotFoundError):
        total -= int(file.with_name("surplus_hugepages").read_text(encoding="ascii"))
    return total


def _set(file: Path, total: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # a made-up machine went away
        file.write_text(str(total), encoding="ascii")


@contextmanager
def _alone() -> Iterator[None]:
    """One of us at a time, of all that share the pool. A program that keeps the lock for longer is
    not ours, and is not waited for."""
    handle = os.open(of_all(1), os.O_RDONLY)
    try:
        taken(handle, _ALONE_S)
        yield
    finally:
        os.close(handle)
