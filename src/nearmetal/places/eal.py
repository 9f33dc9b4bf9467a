"""EAL arguments: DPDK's memory, its cores, and the virtio-user port on the wire's socket."""

from __future__ import annotations

from pathlib import Path

from nearmetal.rungs import Rung
from nearmetal.topology import Topology

MEMORY_BYTES = 64 << 20  # of DPDK: its own, and the buffers of one port


def arguments(rung: Rung, topology: Topology, socket: Path, lcores: int = 1) -> list[str]:
    """For a rung on vhost-user; all lcores on the SUT's core. They know no other device."""
    where = ",".join(f"{lcore}@{topology.sut_cpu}" for lcore in range(lcores))
    port = f"net_virtio_user0,path={socket},mac={topology.sut_mac},queue_size={rung.ring}"
    argv = ["--no-pci", "--no-telemetry", "--lcores", where, "-m", str(MEMORY_BYTES >> 20)]
    # Small pages are a file too, so that they can be shared; it must not be DPDK's default one.
    argv += ["--in-memory"] if topology.hugepages_bytes else ["--no-huge", "--no-shconf"]
    return [*argv, f"--vdev={port},{rung.virtio}"]
