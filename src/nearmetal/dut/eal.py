"""EAL arguments: DPDK's memory, its cores, and its port."""

from __future__ import annotations

from nearmetal.spec.rungs import Rung
from nearmetal.topology.standing import AtNic, Socketed, Topology
from nearmetal.topology.testpmd import ALONE

MEMORY_BYTES = 64 << 20  # of DPDK: its own, and the buffers of one port


def prefix(topology: Topology) -> list[str]:
    """What its command line begins with: without hugepages DPDK keeps files, which are to be ours.

    DPDK looks for a service manager's RUNTIME_DIRECTORY before /var/run.
    """
    words = [] if topology.hugepages_bytes else [f"RUNTIME_DIRECTORY={topology.directory}"]
    port = topology.port if isinstance(topology, AtNic) else ()
    words += [ALONE] if any("net_af_xdp" in word for word in port) else []
    return ["env", *words] if words else []


def virtio_user(rung: Rung, topology: Socketed) -> tuple[str, ...]:
    """The port of a rung on vhost-user."""
    port = f"net_virtio_user0,path={topology.socket},mac={topology.sut_mac}"
    return ("--no-pci", f"--vdev={port},queue_size={rung.ring},{rung.virtio}")


def arguments(topology: Topology, port: tuple[str, ...], lcores: int = 1) -> list[str]:
    """All lcores on the SUT's core. They know no other device."""
    where = ",".join(f"{lcore}@{topology.sut_cpu}" for lcore in range(lcores))
    argv = ["--no-telemetry", "--lcores", where, "-m", str(MEMORY_BYTES >> 20)]
    argv += ["--in-memory"] if topology.hugepages_bytes else ["--no-huge", "--no-shconf"]
    return [*argv, *port]
