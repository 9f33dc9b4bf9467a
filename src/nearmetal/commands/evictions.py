"""Why a key that `load` stored is not there: the server is asked for its own counters (`stats`).

A store with a bound forgets. Where the server says that it evicted, or does not say, a missing key
is no wrong answer; where it says that it evicted nothing, it lost one.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearmetal.errors import NearmetalError
from nearmetal.kv.client import Client
from nearmetal.spec.experiment import Workload, needed_bytes

_MIB = 1 << 20


@dataclass(frozen=True)
class Told:
    """The server's counters."""

    evicted: int  # since its start
    memory_bytes: int | None


def asked(target: str) -> Told | None:
    """Ask now, over sockets; None: it does not answer, or does not tell us."""
    address, _, port = target.rpartition(":")
    try:
        with Client(address.strip("[]"), int(port)) as client:
            stats = client.stats()
        memory = stats.get("limit_maxbytes", "")
        return Told(int(stats["evictions"]), int(memory) if memory.isdecimal() else None)
    except (NearmetalError, OSError, KeyError, ValueError):
        return None


def evicted(before: Told | None, after: Told | None) -> int | None:
    """How many items it evicted in between, restarts aside; None: it does not tell."""
    if after is None:
        return None
    earlier = 0 if before is None or before.evicted > after.evicted else before.evicted
    return after.evicted - earlier


def in_words(missing: int, gone: int | None, told: Told | None, workload: Workload) -> str:
    """What became of the keys, and what to do."""
    if gone == 0:
        return (
            f"{missing:,} keys were missing, and the server says that it evicted none: it lost them"
        )
    if gone is None:
        return (
            f"{missing:,} keys were missing: evicted, expired, or lost; the server does not tell"
            " (it tells `stats` to whom --admin names)"
        )
    has = (
        ""
        if told is None or told.memory_bytes is None
        else f" has {told.memory_bytes // _MIB} MiB and"
    )
    wants = -(-max(needed_bytes(workload, name) for name in ("host-mmsg", "memcached")) // _MIB)
    return (
        f"the server evicted {gone:,} items: it{has} needs some {wants} MiB for"
        f" {workload.keys:,} keys; give it more (`serve --memory {wants}MiB`), or load fewer"
        " (`--workload light`)"
    )
