"""The reference rows: programs that are no rung of ours, under the same load in the same place."""

from __future__ import annotations

import os

from nearmetal.build import Build
from nearmetal.errors import CannotRunError
from nearmetal.places.command import Command
from nearmetal.rungs import Rung
from nearmetal.topology import Topology

_MIB = 1 << 20


def command(rung: Rung, build: Build, topology: Topology, memory_bytes: int, port: int) -> Command:
    """The row's program."""
    if rung.name == "memcached":
        return _memcached(build, topology, memory_bytes, port)
    assert rung.name == "limit-veth", rung.name
    return _limit_veth(build, topology, port)


def _memcached(build: Build, topology: Topology, memory_bytes: int, port: int) -> Command:
    """One thread over UDP alone, as our rungs are; everything else as it comes."""
    budget_mib = -(-memory_bytes // _MIB)
    argv = [*build.programs["memcached"].argv(), "-U", str(port), "-p", "0", "-t", "1"]
    argv += ["-m", str(budget_mib), "-l", topology.sut_addr]
    if os.geteuid() == 0:
        # It refuses to run as root unless told; changing the user would also clear the signal
        # that ends it with us (prctl(2), PR_SET_PDEATHSIG).
        argv += ["-u", "root"]
    return Command(
        tuple(argv), says_ready=False, asks_stats=True, store_budget_bytes=budget_mib * _MIB
    )


def _limit_veth(build: Build, topology: Topology, port: int) -> Command:
    """The wire's null responder: an XDP program in the receive thread of the server's end."""
    if topology.wire != "veth":
        raise CannotRunError("limit-veth is the limit of veth, and this run's wire is lo (no root)")
    argv = [*build.programs["nm-null-veth"].argv(), "--iface", topology.sut_iface]
    argv += ["--port", str(port), "--peer", topology.tg_iface]
    return Command((*argv, "--peer-netns", str(topology.tg_netns)), says_ready=False)
