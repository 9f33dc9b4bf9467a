"""How much memory a process has, as the kernel counts it: proc(5), status and smaps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nearmetal.lab import owner

_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")
_RESIDENT = ("Rss", "Shared_Hugetlb", "Private_Hugetlb")
_PAGES_BYTES = (4 << 10, 2 << 20)  # a mapping is of whole pages, small or huge


def rss_bytes(pid: int, proc: Path = owner.PROC) -> int | None:
    """Resident memory, all of it: huge pages are counted apart, and memory that it shares with
    others counts for each of them."""
    try:
        status = (proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    sizes = {line.split()[0]: int(line.split()[1]) for line in status.splitlines() if " kB" in line}
    small = sizes.get("VmRSS:")
    return None if small is None else (small + sizes.get("HugetlbPages:", 0)) * 1024


def mapping_rss_bytes(pid: int, size_bytes: int, proc: Path = owner.PROC) -> int | None:
    """What is resident of its one mapping for so much; None where there is no such, or several."""
    whole = {-(-size_bytes // page) * page for page in _PAGES_BYTES}
    try:
        text = (proc / str(pid) / "smaps").read_text(encoding="utf-8", errors="replace")
    except OSError:  # ended, or not ours to look at
        return None
    found = [
        sum(sizes.get(name, 0) for name in _RESIDENT)
        for sizes in _mappings(text)
        if sizes["Size"] in whole
    ]
    return found[0] if len(found) == 1 else None


def _mappings(smaps: str) -> Iterator[dict[str, int]]:
    """The sizes of each mapping, in bytes."""
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
