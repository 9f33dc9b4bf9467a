"""EAL arguments: DPDK's memory, its cores, and its port: on the wire's socket, or on a link."""

from __future__ import annotations

from nearmetal.rungs import Rung
from nearmetal.topology import Topology

MEMORY_BYTES = 64 << 20  # of DPDK: its own, and the buffers of one port


def prefix(topology: Topology) -> list[str]:
    """What its command line begins with: without hugepages DPDK keeps files, which are to be ours.

    DPDK looks for a service manager's RUNTIME_DIRECTORY before /var/run.
    """
    return [] if topology.hugepages_bytes else ["env", f"RUNTIME_DIRECTORY={topology.directory}"]


def virtio_user(rung: Rung, topology: Topology) -> str:
    """The port of a rung on vhost-user."""
    port = f"net_virtio_user0,path={topology.socket},mac={topology.sut_mac}"
    return f"{port},queue_size={rung.ring},{rung.virtio}"


def on_link(topology: Topology) -> str:
    """The port on an interface of the kernel's."""
    return f"net_af_packet0,iface={topology.sut_iface}"


def arguments(topology: Topology, device: str, lcores: int = 1) -> list[str]:
    """All lcores on the SUT's core. They know no other device."""
    where = ",".join(f"{lcore}@{topology.sut_cpu}" for lcore in range(lcores))
    argv = ["--no-pci", "--no-telemetry", "--lcores", where, "-m", str(MEMORY_BYTES >> 20)]
    argv += ["--in-memory"] if topology.hugepages_bytes else ["--no-huge", "--no-shconf"]
    return [*argv, f"--vdev={device}"]
