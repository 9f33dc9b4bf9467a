"""2 MiB pages of the kernel's pool: raised for a run, and brought back to what it was.

What is free already may belong to somebody who is about to start, so as many pages as are needed
come on top of the pool. The kernel gives what it can find in one piece, which may be less: what
counts is read back. Without the right to raise it, what is free is all there is.

Several of us may want pages at once (a server beside a run), so each leaves a claim, a small file:
what the pool was before the first of us came, and how many pages it wants. Whoever goes sets the
pool to the former and what the others want. So the last one leaves exactly what the first one met.

Readers take a root, so that tests can show them made-up machines.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearmetal.lab.journal import Journal

ROOT = Path("/")
PAGE_BYTES = 2 << 20
_POOL = Path("sys/kernel/mm/hugepages/hugepages-2048kB")
_CLAIMS = "hugepages"


@dataclass(frozen=True)
class Pool:
    """Pages of the kernel's pool."""

    total: int
    free: int  # and promised to nobody


@dataclass(frozen=True)
class Claim:
    """What one of us wants."""

    before: int  # pages in the pool before the first of us
    wanted: int


def pool(root: Path = ROOT) -> Pool | None:
    """The pool now; None: this kernel has none."""
    folder = root / _POOL
    try:
        total, free, promised = (
            int((folder / name).read_text(encoding="ascii"))
            for name in ("nr_hugepages", "free_hugepages", "resv_hugepages")
        )
    except (OSError, ValueError):
        return None
    return Pool(total, max(0, free - promised))


def pages(needed_bytes: int) -> int:
    """How many pages hold so many bytes."""
    return -(-needed_bytes // PAGE_BYTES)


@contextmanager
def reserved(journal: Journal, needed_bytes: int, root: Path = ROOT) -> Iterator[int]:
    """Raise the pool by what is needed; gives the bytes that are free then, maybe too few."""
    now = pool(root)
    if now is None or needed_bytes <= 0 or not _may_raise(root):
        yield now.free * PAGE_BYTES if now else 0
        return
    file = root / _POOL / "nr_hugepages"
    claims = journal.directory.parent / _CLAIMS
    claims.mkdir(mode=0o700, parents=True, exist_ok=True)
    with journal.holds("pages", str(_free_name(claims, journal)), inside=str(file)) as record:
        with _alone(claims):
            others = _read_all(claims)
            now = pool(root) or now
            before = others[0].before if others else now.total
            claim = Claim(before, pages(needed_bytes))
            Path(record.what).write_text(f"{claim.before} {claim.wanted}\n", encoding="ascii")
            _set(file, before + sum(each.wanted for each in [*others, claim]))
        after = pool(root)
        yield after.free * PAGE_BYTES if after else 0


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


def _may_raise(root: Path) -> bool:
    """Not without root, nor where /sys is read-only."""
    return os.access(root / _POOL / "nr_hugepages", os.W_OK)


def _set(file: Path, total: int) -> None:
    with contextlib.suppress(FileNotFoundError):  # a made-up machine went away
        file.write_text(str(total), encoding="ascii")


def _free_name(claims: Path, journal: Journal) -> Path:
    number = 0
    while (path := claims / f"{journal.owner}-{number}").exists():
        number += 1
    return path


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
