"""Claims on the kernel's pool of huge pages: by how many pages each of us has raised it.

The pool is given back by difference: what other programs, or others of us, add or take meanwhile
stays theirs. A claim is a small file: the pool and the wish before the act, then what came of it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearmetal.machine.processes.lock import of_all, taken

_ALONE_S = 5.0


def take(claim: Path, file: Path, wanted: int) -> None:
    """Write a claim and raise the pool (its file nr_hugepages); the kernel may give fewer."""
    with _alone():
        before = _persistent(file)
        claim.write_text(f"{before} {wanted}\n", encoding="ascii")
        _set(file, before + wanted)
        with claim.open("a", encoding="ascii") as written:
            written.write(f"{max(0, _persistent(file) - before)}\n")


def give_back(claim: Path, file: Path) -> None:
    """Undo a claim; doing it twice is the same as once, and so is one that was never written."""
    with _alone(), contextlib.suppress(FileNotFoundError):
        raised = _raised(claim, file)
        claim.unlink(missing_ok=True)
        if raised > 0:
            _set(file, max(0, _persistent(file) - raised))


def _raised(claim: Path, file: Path) -> int:
    """By how many pages its writer raised the pool; 0: it did not come to that."""
    words = claim.read_text(encoding="ascii").split()
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
    """One of us at a time, of all that share the pool. Somebody who keeps the lock for long is none
    of us."""
    handle = os.open(of_all(1), os.O_RDONLY)
    try:
        taken(handle, _ALONE_S)
        yield
    finally:
        os.close(handle)
