"""Arguments of DPDK's environment (EAL): memory and threads, for every program with DPDK."""

from __future__ import annotations

import os
from collections.abc import Iterable

MEMORY_BYTES = 64 << 20  # its own, and the buffers of a port with rings of up to 4,096
# In small pages a pool of buffers finds no room between others; what is not touched costs nothing.
_SMALL_BYTES = 4 * MEMORY_BYTES


def memory(*, hugepages: bool) -> list[str]:
    """hugepages: the kernel has enough of them free; small pages do, too."""
    if hugepages:
        return ["--in-memory", "-m", str(MEMORY_BYTES >> 20)]
    size = ["-m", str(_SMALL_BYTES >> 20)]
    return ["--no-huge", "--no-shconf", f"--file-prefix=nearmetal-{os.getpid()}", *size]


def threads(*cpus: Iterable[int]) -> list[str]:
    """The main thread, and more, each on whichever of its cores is free. No telemetry: it would be
    a thread more, and a socket."""
    cores = (",".join(str(cpu) for cpu in sorted(each)) for each in cpus)
    lcores = ",".join(f"{lcore}@({among})" for lcore, among in enumerate(cores))
    return ["--no-telemetry", "--lcores", lcores]
