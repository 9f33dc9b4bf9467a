"""Memory of a process as the kernel counts it (proc(5): status, smaps, pagemap)."""

from __future__ import annotations

import array
import re
from collections.abc import Iterator
from pathlib import Path

from nearmetal.machine.processes import owner

_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")
_RESIDENT = ("Rss", "Shared_Hugetlb", "Private_Hugetlb")
_PAGE_BYTES, _PRESENT_BIT = 4096, 63
_PAGES_BYTES = (4 << 10, 2 << 20)  # a mapping consists of whole pages, small or huge


def rss_bytes(pid: int, proc: Path = owner.PROC) -> int | None:
    """Return all resident memory of a process, or None if it has ended.

    Huge pages, which the kernel counts separately, are included. Shared memory counts in full for
    each of its processes.
    """
    try:
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    sizes = {line.split()[0]: int(line.split()[1]) for line in status.splitlines() if " kB" in line}
    small = sizes.get("VmRSS:")
    return None if small is None else (small + sizes.get("HugetlbPages:", 0)) * 1024


def mapping_rss_bytes(pid: int, size_bytes: int, proc: Path = owner.PROC) -> int | None:
    """Return the resident bytes of the only mapping of this size; None: no or several mappings."""
    whole = {-(-size_bytes // page) * page for page in _PAGES_BYTES}
    try:
        text = (proc / str(pid) / "smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:  # the process has ended, or we may not read its files
        return None
    found = [
        sum(sizes.get(name, 0) for name in _RESIDENT)
        for sizes in _mappings(text)
        if sizes["Size"] in whole
    ]
    return found[0] if len(found) == 1 else None


def memfd_resident_bytes(
    pid: int, size_bytes: int, start: int, length: int, proc: Path = owner.PROC
) -> int | None:
    """Return how many of `length` bytes from `start` on are resident in a process's memfd mapping.

    proc(5), pagemap. None: the process has no memfd mapping of size_bytes, or several.
    """
    try:
        maps = (proc / str(pid) / "maps").read_text(encoding="utf-8", errors="replace")
        spans = (line.split("-", 1) for line in maps.splitlines() if "/memfd:" in line)
        ends = ((int(low, 16), int(rest.split(" ", 1)[0], 16)) for low, rest in spans)
        bases = [low for low, high in ends if high - low == size_bytes]
        if len(bases) != 1 or start + length > size_bytes:
            return None
        first, last = start // _PAGE_BYTES, -(-(start + length) // _PAGE_BYTES)
        with (proc / str(pid) / "pagemap").open("rb") as pagemap:
            pagemap.seek((bases[0] // _PAGE_BYTES + first) * 8)
            entries = array.array("Q", pagemap.read((last - first) * 8))
    except OSError:  # the process has ended, or we may not read its files
        return None
    return sum(entry >> _PRESENT_BIT for entry in entries) * _PAGE_BYTES


def _mappings(smaps: str) -> Iterator[dict[str, int]]:
    """Yield the sizes of each mapping, in bytes."""
    sizes: dict[str, int] = {}
    for line in smaps.splitlines():
        if _MAPPING.match(line):
            if sizes:
                yield sizes
            sizes = {}
        elif line.endswith(" kB"):
            name, _, value = line.partition(":")
            sizes[name] = int(value.split()[0]) * 1024
    if sizes:
        yield sizes
