"""Our own servers as tests start them: on a vhost-user socket, with the command of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from nearmetal.build.programs import Program
from nearmetal.dut import places
from nearmetal.dut.command import Command, Launch
from nearmetal.machine.vm import accelerator
from nearmetal.spec.programs import INIT, PROBE, TENDER, program_of
from nearmetal.spec.rungs import Rung
from nearmetal.topology.standing import Socketed, Topology

SERVER, PORT = "10.0.0.100", 11211
SERVER_MAC = "02:00:00:00:00:64"
MEMORY_BYTES = 64 << 20

Programs = Callable[[str], Path]


def command(
    rung: Rung,
    service: str,
    programs: Programs,
    vhost: Path,
    options: Sequence[str],
    memory_bytes: int = MEMORY_BYTES,
) -> Command:
    """Return the command of a rung's server on that socket. It uses no huge pages: another program
    may take the free ones first."""
    assert vhost.name == "vhost"
    names = [program_of(rung, service)]
    names += [TENDER] if rung.place == "ukp" else []
    names += [INIT] if rung.place == "guest" else []
    at = {"sut_mac": SERVER_MAC, "directory": str(vhost.parent)}
    launched = _launch(rung, service, programs, Socketed.served(SERVER, "10.0.0.0/8", **at), names)
    launched = replace(launched, memory_bytes=memory_bytes, more=tuple(options))
    if rung.machine is not None:
        chosen = accelerator.choose(programs(PROBE), min(os.sched_getaffinity(0)))
        launched = replace(launched, accelerator=chosen)
    return places.command(launched)


def at_interface(
    rung: Rung,
    service: str,
    programs: Programs,
    iface: str,
    options: Sequence[str],
    address: str = SERVER,
) -> Command:
    """Return the command of a rung's server at an interface of its network namespace."""
    top = Topology.served(address, "10.0.0.0/8", sut_iface=iface)
    launched = _launch(rung, service, programs, top, [program_of(rung, service)])
    return places.command(replace(launched, listen=f"{address}:{PORT}", more=tuple(options)))


def _launch(
    rung: Rung, service: str, programs: Programs, top: Topology, names: Sequence[str]
) -> Launch:
    return Launch(
        rung,
        service,
        {name: Program(path=str(programs(name)), image_bytes=0, sha256="") for name in names},
        top,
        f"{SERVER}:{PORT}",
        MEMORY_BYTES,
        cpus=tuple(os.sched_getaffinity(0)),
    )
