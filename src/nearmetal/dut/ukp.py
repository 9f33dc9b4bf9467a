"""The place `ukp`: the unikernel's code as a process.

nm-tender is what is started: it owns the vhost-user socket, and starts the image, which has nothing
but memory, its rings and two descriptors (docs/rungs.md). Signals and lines are the tender's,
turns and counts the image's.
"""

from __future__ import annotations

from nearmetal.dut.command import Command, Launch
from nearmetal.spec.programs import TENDER
from nearmetal.topology.standing import Socketed

MEMORY_BYTES = 16 << 20  # rings, and the frames of both


def command(launch: Launch) -> Command:
    """The tender, with the row's image."""
    topology = launch.topology
    assert isinstance(topology, Socketed)
    own = ["--image", str(launch.image), "--socket", str(topology.socket)]
    own += ["--mac", topology.sut_mac, "--ring", str(launch.rung.ring)]
    argv = [*launch.programs[TENDER].argv(), *launch.words(), "--", *own]
    return Command(tuple(argv), says_ready=True, turns="counters")
