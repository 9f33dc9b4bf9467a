"""Huge pages of the kernel's pools: raised for a run, and brought back to what they were.

What is free already may belong to somebody who is about to start, so as many pages as are needed
come on top of the pool. The kernel gives what it can find in one piece, which may be less: what
counts is read back. Without the right to raise it, what is free is all there is.

Several of us may want pages at once (a server beside a run): each leaves a claim
(machine/hugepage_claims.py).

Readers take a root, so that tests can show them made-up machines.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nearmetal.machine import hugepage_claims
from nearmetal.machine.journal import Journal

ROOT = Path("/")
PAGE_BYTES = 2 << 20
GIB_BYTES = 1 << 30
SPARE_PAGES = 8  # what other programs may take before ours has begun
_POOLS = Path("sys/kernel/mm/hugepages")


@dataclass(frozen=True)
class Pool:
    """Pages of the kernel's pool."""

    total: int
    free: int  # and promised to nobody


def pool(root: Path = ROOT, page_bytes: int = PAGE_BYTES) -> Pool | None:
    """The pool of this size of pages now; None: this kernel has none."""
    folder = pool_file(root, page_bytes).parent
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


def pool_file(root: Path = ROOT, page_bytes: int = PAGE_BYTES) -> Path:
    """What sets how many pages of this size there are."""
    return root / _POOLS / f"hugepages-{page_bytes >> 10}kB" / "nr_hugepages"


def new_claim(state: Path, owner: str, page_bytes: int = PAGE_BYTES) -> Path:
    """A free name for a claim; each pool has a folder of claims (machine/hugepage_claims.py)."""
    folder = state / (
        "hugepages" if page_bytes == PAGE_BYTES else f"hugepages-{page_bytes >> 10}kB"
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = 0
    while (path := folder / f"{owner}-{number}").exists():
        number += 1
    return path


@contextmanager
def reserved(journal: Journal, needed_bytes: int, root: Path = ROOT) -> Iterator[int]:
    """Raise the pool by what is needed and some to spare; gives the bytes that are free then, maybe
    too few."""
    now = pool(root)
    if now is None or needed_bytes <= 0 or not may_raise(root):
        yield now.free * PAGE_BYTES if now else 0
        return
    file = pool_file(root)
    claim = new_claim(journal.directory.parent, str(journal.owner))
    with journal.holds("pages", str(claim), inside=str(file)):
        with suppress(OSError):  # refused: a run does without
            hugepage_claims.take(claim, file, pages(needed_bytes) + SPARE_PAGES)
        after = pool(root)
        yield after.free * PAGE_BYTES if after else 0


def may_raise(root: Path = ROOT) -> bool:
    """Whether more may be asked of the kernel: not by anybody, nor where /sys is read-only."""
    return os.access(pool_file(root), os.W_OK)
