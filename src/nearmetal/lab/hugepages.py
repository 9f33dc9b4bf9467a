"""2 MiB pages of the kernel's pool: raised for a run, and brought back to what it was.

What is free already may belong to somebody who is about to start, so as many pages as are needed
come on top of the pool. The kernel gives what it can find in one piece, which may be less: what
counts is read back. Without the right to raise it, what is free is all there is.

Several of us may want pages at once (a server beside a run): each leaves a claim (claims.py).

Readers take a root, so that tests can show them made-up machines.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nearmetal.lab import claims
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
    folder = journal.directory.parent / _CLAIMS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with journal.holds("pages", str(_free_name(folder, journal)), inside=str(file)) as record:
        claims.take(Path(record.what), file, pages(needed_bytes))
        after = pool(root)
        yield after.free * PAGE_BYTES if after else 0


def _may_raise(root: Path) -> bool:
    """Not without root, nor where /sys is read-only."""
    return os.access(root / _POOL / "nr_hugepages", os.W_OK)


def _free_name(folder: Path, journal: Journal) -> Path:
    number = 0
    while (path := folder / f"{journal.owner}-{number}").exists():
        number += 1
    return path
