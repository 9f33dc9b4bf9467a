"""The reference rows: programs other than our rungs, under the same load in the same place."""

from __future__ import annotations

import os
from pathlib import Path

from nearmetal.dut import eal
from nearmetal.dut.command import Command, Launch
from nearmetal.errors import CannotRunError
from nearmetal.machine.links import nic
from nearmetal.topology import known, testpmd
from nearmetal.topology.standing import Socketed, Topology

_MIB = 1 << 20


def command(launch: Launch) -> Command:
    """Return the command for the row's program. Raises CannotRunError."""
    return {
        "memcached": _memcached,
        "testpmd": _testpmd,
        "ceiling": _ceiling,
        "limit-nic": _limit_nic,
        "limit-veth": _limit_veth,
    }[launch.rung.name](launch)


def _memcached(launch: Launch) -> Command:
    """Return memcached with one thread and only UDP, as our rungs; all other options default."""
    budget_mib = -(-launch.memory_bytes // _MIB)
    argv = [*launch.program.argv(), "-U", str(launch.port), "-p", "0", "-t", "1"]
    argv += ["-m", str(budget_mib), "-l", launch.address]
    if os.geteuid() == 0:
        # memcached refuses to run as root without this option. Another user would clear the
        # parent-death signal, which ends it with this process (prctl(2), PR_SET_PDEATHSIG).
        argv += ["-u", "root"]
    return Command(
        tuple(argv), says_ready=False, asks_stats=True, store_budget_bytes=budget_mib * _MIB
    )


def _limit_veth(launch: Launch) -> Command:
    """Return veth's null responder: an XDP program in the receive thread of the server's end.

    The other end needs an XDP program too: the generator's own, or one that passes everything.
    """
    topology = _standing(launch)
    if known.find(topology.wire).null_responder != launch.rung.name:
        raise CannotRunError(f"limit-veth shows the limit of veth, not of {topology.wire}")
    argv = _null_xdp(launch)
    if not known.find(topology.wire).edition(topology.generator).attaches_xdp:
        argv += ["--peer", topology.tg_iface, "--peer-netns", str(topology.tg_netns)]
    return Command(tuple(argv), says_ready=True)


def _limit_nic(launch: Launch) -> Command:
    """Return the null responder of the data NIC.

    In a rehearsal the NIC is a veth. Native XDP would need a program on its other end too, which is
    on another machine; so generic XDP is used there.
    """
    argv = _null_xdp(launch)
    argv += ["--generic"] if nic.driver(_standing(launch).sut_iface) == "veth" else []
    return Command(tuple(argv), says_ready=True)


def _null_xdp(launch: Launch) -> list[str]:
    argv = [*launch.program.argv(), "--iface", _standing(launch).sut_iface]
    return [*argv, "--port", str(launch.port)]


def _testpmd(launch: Launch) -> Command:
    """Return DPDK's own echo: testpmd swaps MACs, addresses and ports on one forwarding core.

    Its first lcore reads commands, the second forwards. It does not answer ARP.
    """
    rung, program = launch.rung, launch.program
    argv = eal.prefix(_standing(launch)) + testpmd.program(Path(program.path), program.library_path)
    argv += ["--single-file-segments", *eal.arguments(launch, 2)]
    argv += ["--", "--interactive", "--auto-start", "--forward-mode=5tswap"]
    argv += ["--record-core-cycles", f"--burst={rung.batch}", "--total-num-mbufs=8192"]
    argv += [f"--rxd={rung.ring}", f"--txd={rung.ring}"]
    return Command(tuple(argv), says_ready=False, turns="testpmd", answers_arp=False)


def _ceiling(launch: Launch) -> Command:
    """Return the null responder of vhost-user."""
    assert isinstance(launch.topology, Socketed)
    argv = [*launch.program.argv(), "--socket", str(launch.topology.socket)]
    argv += ["--ring", str(launch.rung.ring)]
    argv += ["--hugepages"] if launch.topology.hugepages_bytes else []
    return Command(tuple(argv), says_ready=True, turns="counters", answers_arp=False)


def _standing(launch: Launch) -> Topology:
    assert launch.topology is not None
    return launch.topology
