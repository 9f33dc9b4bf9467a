"""The place `host`: a Linux process of ours."""

from __future__ import annotations

import sys

from nearmetal.build.programs import Build, program_of
from nearmetal.dut import eal
from nearmetal.dut.command import Command, options
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology.standing import AtNic, Socketed, Switched, Topology


def command(
    rung: Rung, service: Service, build: Build, topology: Topology, memory_bytes: int, port: int
) -> Command:
    """The server."""
    argv = [*_program(rung, service, build), *options(rung, topology, memory_bytes, port)]
    if not rung.in_frames:
        return Command(tuple(argv), says_ready=True)
    if isinstance(topology, Socketed):
        device = eal.virtio_user(rung, topology)
    else:
        assert isinstance(topology, AtNic)
        device = topology.port
    argv = [*eal.prefix(topology), *argv, "--", *eal.arguments(topology, device)]
    # Behind a switch it may not get its core for a second: two questions then draw one answer.
    if isinstance(topology, Switched):
        return Command(tuple(argv), says_ready=True)
    return Command(tuple(argv), says_ready=True, turns="counters")


def _program(rung: Rung, service: Service, build: Build) -> list[str]:
    if rung.uses is not None and rung.uses.is_python:
        return [sys.executable, "-m", "nearmetal.kv.server", "--service", service]
    return build.programs[program_of(rung, service)].argv()
