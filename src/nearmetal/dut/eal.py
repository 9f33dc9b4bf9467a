"""EAL arguments of a DUT that uses DPDK, derived from its wire (machine/links/eal.py)."""

from __future__ import annotations

from nearmetal.dut.command import Launch
from nearmetal.machine.links import eal
from nearmetal.spec.rungs import Rung
from nearmetal.topology.standing import AtNic, Socketed, Topology
from nearmetal.topology.testpmd import ALONE


def prefix(topology: Topology) -> list[str]:
    """Return the start of its command line, which sets environment variables.

    Without hugepages DPDK keeps files; RUNTIME_DIRECTORY, which DPDK prefers to /var/run, puts them
    into the run's folder.
    """
    words = []
    if not topology.hugepages_bytes and topology.directory is not None:
        words.append(f"RUNTIME_DIRECTORY={topology.directory}")
    port = topology.port if isinstance(topology, AtNic) else ()
    words += [ALONE] if any("net_af_xdp" in word for word in port) else []
    return ["env", *words] if words else []


def port(rung: Rung, topology: Topology) -> tuple[str, ...]:
    """Return the arguments for its only device: virtio-user on a vhost-user socket, or the NIC."""
    if isinstance(topology, Socketed):
        device = f"net_virtio_user0,path={topology.socket},mac={topology.sut_mac}"
        return ("--no-pci", f"--vdev={device},queue_size={rung.ring},{rung.virtio}")
    assert isinstance(topology, AtNic)
    return topology.port


def arguments(launch: Launch, lcores: int = 1) -> list[str]:
    """Return all EAL arguments."""
    topology = launch.topology
    assert topology is not None
    cpus = launch.cpus or (topology.sut_cpu,)
    memory = eal.memory(hugepages=topology.hugepages_bytes > 0)
    return [*eal.threads(*[cpus] * lcores), *memory, *port(launch.rung, topology)]
