"""Arguments of DPDK's environment (EAL) for memory and threads, for every program with DPDK."""

from __future__ import annotations

import os
from collections.abc import Iterable

MEMORY_BYTES = 64 << 20  # for EAL itself and the buffers of a port with rings of up to 4,096
# With small pages a buffer pool needs a larger heap to fit between other allocations; memory that
# is not touched costs nothing.
_SMALL_BYTES = 4 * MEMORY_BYTES


def memory(*, hugepages: bool) -> list[str]:
    """Return the memory options. hugepages: enough huge pages are free; else small pages."""
    if hugepages:
        return ["--in-memory", "-m", str(MEMORY_BYTES >> 20)]
    size = ["-m", str(_SMALL_BYTES >> 20)]
    return ["--no-huge", "--no-shconf", f"--file-prefix=nearmetal-{os.getpid()}", *size]


def threads(*cpus: Iterable[int]) -> list[str]:
    """Return the thread options: the main thread, then workers, each with its set of cores.

    Telemetry is off: it would add a thread and a socket.
    """
    cores = (",".join(str(cpu) for cpu in sorted(each)) for each in cpus)
    lcores = ",".join(f"{lcore}@({among})" for lcore, among in enumerate(cores))
    return ["--no-telemetry", "--lcores", lcores]
