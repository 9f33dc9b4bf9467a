"""EAL arguments: DPDK's memory, its cores, and the virtio-user port on the wire's socket."""

from __future__ import annotations

from pathlib import Path

from nearmetal.rungs import Rung
from nearmetal.topology import Topology

MEMORY_BYTES = 64 << 20  # of DPDK: its own, and the buffers of one port


def prefix(topology: Topology) -> list[str]:
    """What its command line begins with: without hugepages DPDK keeps files, which are to be ours.

    DPDK looks for a service manager's RUNTIME_DIRECTORY before /var/run.
    """
    return [] if topology.hugepages_bytes else ["env", f"RUNTIME_DIRECTORY={topology.directory}"]


def arguments(rung: Rung, topology: Topology, socket: Path, lcores: int = 1) -> list[str]:
    """For a rung on vhost-user; all lcores on the SUT's core. They know no other device."""
    where = ",".join(f"{lcore}@{topology.sut_cpu}" for lcore in range(lcores))
    port = f"net_virtio_user0,path={socket},mac={topology.sut_mac},queue_size={rung.ring}"
    argv = ["--no-pci", "--no-telemetry", "--lcores", where, "-m", str(MEMORY_BYTES >> 20)]
    argv += ["--in-memory"] if topology.hugepages_bytes else ["--no-huge", "--no-shconf"]
    return [*argv, f"--vdev={port},{rung.virtio}"]
