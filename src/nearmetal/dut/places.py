"""Make a DUT's command line, for bench, serve, a testbed's agent and tests."""

from __future__ import annotations

from collections.abc import Callable

from nearmetal.dut import guest, host, image, reference, uk, ukp
from nearmetal.dut.command import Command, Launch
from nearmetal.spec.rungs import RowPlace

_PLACES: dict[RowPlace, Callable[[Launch], Command]] = {
    "host": host.command,
    "guest": guest.command,
    "uk": uk.command,
    "ukp": ukp.command,
    "image": image.command,
}


def command(launch: Launch) -> Command:
    """Return the command for a launch, by the place of its row. Raises CannotRunError."""
    if launch.rung.place == "reference":
        # limit-uk is a reference row, but an image in a virtual machine.
        made = reference.command if launch.rung.machine is None else uk.command
        return made(launch)
    return _PLACES[launch.rung.place](launch)
