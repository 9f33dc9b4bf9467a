"""The reference rows: programs that are no rung of ours, under the same load in the same place."""

from __future__ import annotations

import os
from pathlib import Path

from nearmetal.build.programs import Build
from nearmetal.dut import eal
from nearmetal.dut.command import Command
from nearmetal.errors import CannotRunError
from nearmetal.machine.links import nic
from nearmetal.spec.rungs import Rung
from nearmetal.topology import known, testpmd
from nearmetal.topology.standing import Socketed, Topology

_MIB = 1 << 20


def command(rung: Rung, build: Build, topology: Topology, memory_bytes: int, port: int) -> Command:
    """The row's program."""
    if rung.name == "memcached":
        return _memcached(build, topology, memory_bytes, port)
    if rung.name == "testpmd":
        return _testpmd(rung, build, topology)
    if rung.name == "ceiling":
        return _ceiling(rung, build, topology)
    if rung.name == "limit-nic":
        return _limit_nic(build, topology, port)
    assert rung.name == "limit-veth", rung.name
    return _limit_veth(rung, build, topology, port)


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


def _limit_veth(rung: Rung, build: Build, topology: Topology, port: int) -> Command:
    """The wire's null responder: an XDP program in the receive thread of the server's end."""
    if known.find(topology.wire).null_responder != rung.name:
        raise CannotRunError("limit-veth is the limit of veth, and this run's wire is lo (no root)")
    argv = [*_null_xdp(build, topology, port), "--peer", topology.tg_iface]
    return Command((*argv, "--peer-netns", str(topology.tg_netns)), says_ready=True)


def _limit_nic(build: Build, topology: Topology, port: int) -> Command:
    """The same at the data NIC. A veth's other end is on another machine of a rehearsal, and would
    have to have a program, too; so it is done behind the driver there."""
    argv = _null_xdp(build, topology, port)
    argv += ["--generic"] if nic.driver(topology.sut_iface) == "veth" else []
    return Command(tuple(argv), says_ready=True)


def _null_xdp(build: Build, topology: Topology, port: int) -> list[str]:
    argv = [*build.programs["nm-null-xdp"].argv(), "--iface", topology.sut_iface]
    return [*argv, "--port", str(port)]


def _testpmd(rung: Rung, build: Build, topology: Topology) -> Command:
    """DPDK's own echo: MACs, addresses and ports swapped, one forwarding core.

    Its first lcore reads commands, the second forwards. It answers no ARP.
    """
    assert isinstance(topology, Socketed)
    program = build.programs["dpdk-testpmd"]
    argv = eal.prefix(topology) + testpmd.program(Path(program.path), program.library_path)
    argv += ["--single-file-segments", *eal.arguments(topology, eal.virtio_user(rung, topology), 2)]
    argv += ["--", "--interactive", "--auto-start", "--forward-mode=5tswap"]
    argv += ["--record-core-cycles", f"--burst={rung.batch}", "--total-num-mbufs=8192"]
    argv += [f"--rxd={rung.ring}", f"--txd={rung.ring}"]
    return Command(tuple(argv), says_ready=False, turns="testpmd", answers_arp=False)


def _ceiling(rung: Rung, build: Build, topology: Topology) -> Command:
    """The null responder of vhost-user."""
    assert isinstance(topology, Socketed)
    argv = [*build.programs["nm-null-vhost"].argv(), "--socket", str(topology.socket)]
    argv += ["--ring", str(rung.ring)]
    return Command(tuple(argv), says_ready=True, turns="counters", answers_arp=False)
