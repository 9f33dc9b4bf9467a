"""Resident memory, read from a made-up /proc."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearmetal.machine.memory.rss import mapping_rss_bytes, memfd_resident_bytes, rss_bytes

MIB = 1 << 20
STATUS = "Name:\tnm\nVmRSS:\t     100 kB\nHugetlbPages:\t    4096 kB\n"
MAPPING = """{start}-7f0000200000 rw-p 00000000 00:11 3607045    /anon_hugepage (deleted)
Size:               {size} kB
KernelPageSize:     2048 kB
Rss:                   {rss} kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:    {huge} kB
VmFlags: rd wr mr mw me ac sd
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "7").mkdir()
    return tmp_path


def mapped(proc: Path, *mappings: tuple[int, int, int]) -> None:
    text = "".join(
        MAPPING.format(start=f"7f{number:010x}", size=size, rss=rss, huge=huge)
        for number, (size, rss, huge) in enumerate(mappings)
    )
    (proc / "7" / "smaps").write_text(text, encoding="utf-8")


def test_huge_pages_count(proc: Path) -> None:
    (proc / "7" / "status").write_text(STATUS, encoding="utf-8")
    assert rss_bytes(7, proc) == (100 + 4096) * 1024
    assert rss_bytes(8, proc) is None


def test_of_one_mapping_what_is_resident(proc: Path) -> None:
    mapped(proc, (40, 40, 0), (8192, 0, 2048), (4096, 0, 2048))
    assert mapping_rss_bytes(7, 8 * MIB, proc) == 2 * MIB
    assert mapping_rss_bytes(7, 8 * MIB - 5000, proc) == 2 * MIB  # rounded to huge pages
    assert mapping_rss_bytes(7, 39 * 1024, proc) == 40 * 1024  # rounded to small pages


def test_what_cannot_be_told_apart_is_unknown(proc: Path) -> None:
    mapped(proc, (8192, 16, 0), (8192, 0, 2048))
    assert mapping_rss_bytes(7, 8 * MIB, proc) is None
    assert mapping_rss_bytes(7, 9 * MIB, proc) is None
    assert mapping_rss_bytes(8, 8 * MIB, proc) is None


PAGE = mmap.PAGESIZE
PAGES = 37  # a size that no other memfd of this process has


@pytest.fixture
def guest() -> Iterator[mmap.mmap]:
    """Memory like a guest's in QEMU: one mapping of a memfd, with two resident pages."""
    handle = os.memfd_create("guest")
    os.ftruncate(handle, PAGES * PAGE)
    with mmap.mmap(handle, PAGES * PAGE) as memory:
        memory[3 * PAGE] = memory[9 * PAGE + 1] = 1
        yield memory
    os.close(handle)


@pytest.mark.usefixtures("guest")
@pytest.mark.parametrize(
    ("first", "pages", "resident"),
    [(0, PAGES, 2), (0, 3, 0), (3, 1, 1), (4, 5, 0), (9, 28, 1), (36, 2, None), (0, 38, None)],
)
def test_of_a_piece_of_a_guests_memory_what_is_resident(
    first: int, pages: int, resident: int | None
) -> None:
    found = memfd_resident_bytes(os.getpid(), PAGES * PAGE, first * PAGE, pages * PAGE)
    assert found == (None if resident is None else resident * PAGE)


@pytest.mark.usefixtures("guest")
def test_a_guest_that_is_not_there_or_twice(proc: Path) -> None:
    assert memfd_resident_bytes(os.getpid(), (PAGES + 1) * PAGE, 0, PAGE) is None
    assert memfd_resident_bytes(8, PAGES * PAGE, 0, PAGE, proc) is None
    line = "7f0000{0}00000-7f0000{0}25000 rw-s 00000000 00:01 7 /memfd:guest (deleted)\n"
    (proc / "7" / "maps").write_text(line.format(1) + line.format(2))
    assert memfd_resident_bytes(7, PAGES * PAGE, 0, PAGE, proc) is None
