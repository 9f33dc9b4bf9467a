"""Servers at an interface of the kernel, one end of a veth pair, and the other end."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from pyroute2 import NetNS

import duts
from duts import SERVER_MAC, Programs
from nearmetal.build import programs as build
from nearmetal.machine import needs
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, tried
from nearmetal.machine.links.frame_host import Link
from nearmetal.machine.links.netns import Wire
from nearmetal.spec.programs import program_of
from nearmetal.spec.rungs import Rung

_numbers = itertools.cycle(range(100))


def skip_where_missing(rung: Rung) -> None:
    """Skip where no pair can be made, or the rung cannot run on one."""
    assert rung.uses is not None
    if os.geteuid() != 0:
        pytest.skip("veth needs root")
    program = program_of(rung, "kv")
    reason = tried.pair_why_not() or build.why_not(program) or needs.why_not(rung.uses.needs)
    if reason is not None:
        pytest.skip(f"{rung.name}: {reason}")


@contextmanager
def bare_pair() -> Iterator[Wire]:
    """Make a pair whose server's end has the MAC of the tests' frames, and no address."""
    number = next(_numbers)  # a test may have several
    sides = f"n{number:02}", f"f{number:02}"
    with netns.tapped(open_journal(), here=False, sides=sides) as wire:
        with NetNS(str(wire.sut.netns), flags=0) as route:
            index = route.link_lookup(ifname=wire.sut.iface)[0]
            route.link("set", index=index, address=SERVER_MAC)
        yield wire


def link(wire: Wire) -> Link:
    """Return a link to the generator's end."""
    with netns.inside(wire.tg.netns):
        return Link.at_interface(wire.tg.iface)


def command(
    rung: Rung,
    service: str,
    programs: Programs,
    wire: Wire,
    options: Sequence[str],
    address: str = duts.SERVER,
) -> list[str]:
    """Return the command of a server at the server's end."""
    made = duts.at_interface(rung, service, programs, wire.sut.iface, options, address)
    return ["nsenter", f"--net={wire.sut.netns}", *made.argv]


def inside_tg(wire: Wire, *words: str) -> list[str]:
    """Return a command that runs at the generator's end."""
    return ["nsenter", f"--net={wire.tg.netns}", *words]
