"""Decide why keys that `load` stored are missing, from the server's own counters (`stats`).

A store with a memory bound evicts. A missing key is no wrong answer where the server reports
evictions, or does not answer `stats`. Where the server reports no eviction, it lost the key.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearmetal.errors import NearmetalError
from nearmetal.kv.client import Client
from nearmetal.spec.experiment import Workload, needed_bytes

_MIB = 1 << 20


@dataclass(frozen=True)
class Told:
    """Counters from the server's `stats` answer. memory_bytes: None where it is not reported."""

    evicted: int  # since its start
    memory_bytes: int | None


def asked(target: str) -> Told | None:
    """Query `stats` over a socket. None: no answer, or no `evictions` counter in the answer."""
    address, _, port = target.rpartition(":")
    try:
        with Client(address.strip("[]"), int(port)) as client:
            stats = client.stats()
        memory = stats.get("limit_maxbytes", "")
        return Told(int(stats["evictions"]), int(memory) if memory.isdecimal() else None)
    except (NearmetalError, OSError, KeyError, ValueError):
        return None


def evicted(before: Told | None, after: Told | None) -> int | None:
    """Return the items evicted between two queries; None where the second one failed.

    A count that fell means that the server restarted: then all items since its start count.
    """
    if after is None:
        return None
    earlier = 0 if before is None or before.evicted > after.evicted else before.evicted
    return after.evicted - earlier


def in_words(missing: int, gone: int | None, told: Told | None, workload: Workload) -> str:
    """Describe the fate of the missing keys, and the cure."""
    if gone == 0:
        return f"{missing:,} keys were missing, and the server reports no eviction: it lost them"
    if gone is None:
        return (
            f"{missing:,} keys were missing: evicted, expired, or lost; the server does not answer"
            " `stats` (it answers addresses that its --admin names)"
        )
    has = (
        ""
        if told is None or told.memory_bytes is None
        else f" has {told.memory_bytes // _MIB} MiB and"
    )
    wants = -(-max(needed_bytes(workload, name) for name in ("host-mmsg", "memcached")) // _MIB)
    return (
        f"the server evicted {gone:,} items: it{has} needs about {wants} MiB for"
        f" {workload.keys:,} keys; give it more (`serve --memory {wants}MiB`), or use fewer keys"
        " (`--workload light`)"
    )
