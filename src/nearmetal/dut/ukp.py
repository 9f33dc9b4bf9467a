"""The place `ukp`: the unikernel's code as a process.

nm-tender is what is started: it owns the vhost-user socket, and starts the image, which has nothing
but memory, its rings and two descriptors (docs/rungs.md). Signals and lines are the tender's,
turns and counts the image's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nearmetal.build.programs import TENDER, Build, program_of
from nearmetal.dut.command import Command, options
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology.standing import Socketed, Topology

MEMORY_BYTES = 16 << 20  # rings, and the frames of both


def command(
    rung: Rung, service: Service, build: Build, topology: Topology, memory_bytes: int, port: int
) -> Command:
    """The tender, with the row's image."""
    assert isinstance(topology, Socketed)
    image = Path(build.programs[program_of(rung, service)].path)
    own = arguments(rung, image, topology.socket, topology.sut_mac)
    argv = [*build.programs[TENDER].argv(), *options(rung, topology, memory_bytes, port), *own]
    return Command(tuple(argv), says_ready=True, turns="counters")


def arguments(rung: Rung, image: Path, socket: Path, mac: str) -> Sequence[str]:
    """What stands behind the options that every DUT has."""
    argv = ["--", "--image", str(image), "--socket", str(socket), "--mac", mac]
    return [*argv, "--ring", str(rung.ring)]
