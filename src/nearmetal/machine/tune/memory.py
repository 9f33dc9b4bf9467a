"""Huge pages of 2 MiB and 1 GiB, added to the pool and claimed in the same way as by a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearmetal.machine.memory import hugepages
from nearmetal.machine.tune.setting import Change, LacksError, State, may_write

_NAMES = {hugepages.PAGE_BYTES: "hugepages_2mib", hugepages.GIB_BYTES: "hugepages_1gib"}


@dataclass(frozen=True)
class Pages:
    """The kernel's pool for one size of pages (Documentation/admin-guide/mm/hugetlbpage.rst)."""

    root: Path
    page_bytes: int
    state: Path  # folder for claims (machine/hugepage_claims.py)
    owner: str  # name in the claim

    def read(self) -> State:
        pool = hugepages.pool(self.root, self.page_bytes)
        name = _NAMES[self.page_bytes]
        if pool is None:
            return State(name, None, "this kernel, or this processor, has no pages of this size")
        return State(name, f"{pool.total}, {pool.free} of them free", pages=pool.total)

    def changes(self, wanted: str) -> list[Change]:
        if (now := self.read()).value is None:
            raise LacksError(now.note)
        file = hugepages.pool_file(self.root, self.page_bytes)
        may_write(file)
        claim = hugepages.new_claim(self.state, self.owner, self.page_bytes)
        return [Change("pages", str(claim), wanted, inside=str(file))]
