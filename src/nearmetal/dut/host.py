"""The place `host`: one of our servers as a Linux process."""

from __future__ import annotations

import sys

from nearmetal.dut import eal
from nearmetal.dut.command import Command, Launch
from nearmetal.spec import services
from nearmetal.topology.standing import Switched


def command(launch: Launch) -> Command:
    """Return the command for the row's server."""
    argv = [*_program(launch), *launch.words()]
    if not launch.rung.in_frames:
        return Command(tuple(argv), says_ready=True)
    assert launch.topology is not None
    argv = [*eal.prefix(launch.topology), *argv, "--", *eal.arguments(launch)]
    # Behind a switch it may not get its core for a second. Two requests for counters would then
    # get one answer, so turns are not used.
    if isinstance(launch.topology, Switched):
        return Command(tuple(argv), says_ready=True)
    return Command(tuple(argv), says_ready=True, turns="counters")


def _program(launch: Launch) -> list[str]:
    if launch.rung.uses is not None and launch.rung.uses.is_python:
        row = services.find(launch.service)
        argv = [sys.executable, "-m", str(row.python), "--service"]
        if row.own is None:
            return [*argv, launch.service]
        return [*argv, row.own.path, *row.own.options()]
    return launch.program.argv()
