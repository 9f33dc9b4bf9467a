"""Huge pages: raise the kernel's pool for a run and restore its size afterwards.

Free pages may be meant for another program that is about to start, so the pages that a run needs
are added to the pool. The kernel adds what it finds in one piece, perhaps less, so the pool is read
again. Without the right to raise the pool, a run has only the free pages.

Several of our processes may need pages at once (a server beside a run): each one writes a claim
(machine/hugepage_claims.py).

Functions take a root folder, so that tests can pass a made-up machine.
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
SPARE_PAGES = 8  # for other programs that take pages before ours starts
_POOLS = Path("sys/kernel/mm/hugepages")


@dataclass(frozen=True)
class Pool:
    """Numbers of pages in one of the kernel's pools."""

    total: int
    free: int  # without reserved pages


def pool(root: Path = ROOT, page_bytes: int = PAGE_BYTES) -> Pool | None:
    """Return the present pool of this page size, or None if this kernel has none."""
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
    """Return the number of pages that hold so many bytes."""
    return -(-needed_bytes // PAGE_BYTES)


def pool_file(root: Path = ROOT, page_bytes: int = PAGE_BYTES) -> Path:
    """Return the file that sets the number of pages of this size."""
    return root / _POOLS / f"hugepages-{page_bytes >> 10}kB" / "nr_hugepages"


def new_claim(state: Path, owner: str, page_bytes: int = PAGE_BYTES) -> Path:
    """Return an unused path for a claim; each pool has its own folder of claims."""
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
    """Raise the pool by the need plus SPARE_PAGES while the body runs.

    Yields the free bytes afterwards, which may be fewer than needed.
    """
    now = pool(root)
    if now is None or needed_bytes <= 0 or not may_raise(root):
        yield now.free * PAGE_BYTES if now else 0
        return
    file = pool_file(root)
    claim = new_claim(journal.directory.parent, str(journal.owner))
    with journal.holds("pages", str(claim), inside=str(file)):
        with suppress(OSError):  # refused: the run uses what is free
            hugepage_claims.take(claim, file, pages(needed_bytes) + SPARE_PAGES)
        after = pool(root)
        yield after.free * PAGE_BYTES if after else 0


def may_raise(root: Path = ROOT) -> bool:
    """Whether this process may raise the pool: not without rights, and not if /sys is read-only."""
    return os.access(pool_file(root), os.W_OK)
