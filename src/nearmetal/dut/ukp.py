"""The place `ukp`: the unikernel's code as a process.

nm-tender is the program that is started: it owns the vhost-user socket, and starts the image, which
has only memory, its rings and two file descriptors (docs/rungs.md). The tender handles signals and
prints the lines; turns and counts are the image's.
"""

from __future__ import annotations

from nearmetal.dut.command import Command, Launch
from nearmetal.spec.programs import TENDER
from nearmetal.topology.standing import Socketed

MEMORY_BYTES = 16 << 20  # rings and frames of both directions


def command(launch: Launch) -> Command:
    """Return the command for the tender with the row's image."""
    topology = launch.topology
    assert isinstance(topology, Socketed)
    own = ["--image", str(launch.image), "--socket", str(topology.socket)]
    own += ["--mac", topology.sut_mac, "--ring", str(launch.rung.ring)]
    argv = [*launch.programs[TENDER].argv(), *launch.words(), "--", *own]
    return Command(tuple(argv), says_ready=True, turns="counters")
