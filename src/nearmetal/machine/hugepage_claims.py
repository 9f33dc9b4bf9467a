"""Claims on the kernel's pool of huge pages: who of us wants how many, and what it was before.

A claim is a small file: what the pool was before the first of us came, and how many pages its
writer wants. Whoever goes sets the pool to the former and what the others want. So the last one
leaves exactly what the first one met.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Claim:
    """What one of us wants."""

    before: int  # pages in the pool before the first of us
    wanted: int


def take(claim: Path, file: Path, wanted: int) -> None:
    """Write a claim and raise the pool (its file nr_hugepages)."""
    with _alone(claim.parent):
        others = _read_all(claim.parent)
        before = others[0].before if others else int(file.read_text(encoding="ascii"))
        claim.write_text(f"{before} {wanted}\n", encoding="ascii")
        _set(file, before + wanted + sum(each.wanted for each in others))


def give_back(claim: Path, file: Path) -> None:
    """Undo a claim; doing it twice is the same as once, and so is one that was never written."""
    if not claim.parent.is_dir():
        return
    with _alone(claim.parent):
        mine = _read(claim)
        claim.unlink(missing_ok=True)
        if mine is not None:
            others = sum(each.wanted for each in _read_all(claim.parent))
            _set(file, mine.before + others)


def _set(file: Path, total: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # a made-up machine went away
        file.write_text(str(total), encoding="ascii")


def _read_all(claims: Path) -> list[Claim]:
    found = [_read(path) for path in sorted(claims.iterdir()) if path.name != "lock"]
    return [claim for claim in found if claim is not None]


def _read(path: Path) -> Claim | None:
    """None: it is not there, or its writer was killed before it had raised anything."""
    try:
        before, wanted = path.read_text(encoding="ascii").split()
        return Claim(int(before), int(wanted))
    except (FileNotFoundError, ValueError):
        return None


@contextmanager
def _alone(claims: Path) -> Iterator[None]:
    """One of us at a time; the kernel drops the lock with the process."""
    with (claims / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
