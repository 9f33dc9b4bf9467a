"""Choose the edition of the generator for each wire of a run, and record it with the wire.

Every row of a wire is asked by the same edition: the first that was built and can run here, in the
order of the wire's file (topology/wire.py); a spec may name the edition to try first.
"""

from __future__ import annotations

import subprocess

from nearmetal.build.programs import Build
from nearmetal.errors import CannotRunError
from nearmetal.samples import Point
from nearmetal.spec.experiment import Spec, points
from nearmetal.topology import known
from nearmetal.topology.bring_up import Topologies
from nearmetal.topology.standing import Topology
from nearmetal.topology.wire import Edition


def optional(spec: Spec) -> set[str]:
    """Return the programs that a run tries before those that its rows need."""
    wires = [known.find(row.rung.wire) for row in spec.rungs if row.rung.absent is None]
    first = {spec.generator, *(point.edition for point in points(spec))}
    return {each.program for wire in wires for name in first for each in wire.in_turn(name)[:-1]}


def settled(wires: Topologies, spec: Spec, build: Build) -> Topologies:
    """Return the wires, each with its generator, what that adds to the placement, and a note."""
    return wires.model_copy(
        update={"wires": tuple(_settled(top, spec, build) for top in wires.wires)}
    )


def at_point(top: Topology, build: Build, point: Point) -> Topology:
    """Return a wire with the edition of a sweep's point; a wire that lacks it is unchanged.

    Raises CannotRunError: the edition cannot run here.
    """
    wire = known.find(top.wire)
    if point.edition is None or point.edition not in {each.name for each in wire.editions}:
        return top
    edition = wire.edition(point.edition)
    if (reason := _why_not(edition, top, build)) is not None:
        raise CannotRunError(f"{edition.name} cannot run here: {reason}")
    return top.model_copy(update={"generator": edition.name})


def of_other_tree(top: Topology, spec: Spec, build: Build) -> Topology:
    """Return a wire with the first edition that another tree's programs have.

    A program of an older tree may lack an option of the edition.
    """
    for edition in known.find(top.wire).in_turn(spec.generator):
        if _why_not(edition, top, build) is None and _knows(edition, build):
            return top.model_copy(update={"generator": edition.name})
    return top


def _knows(edition: Edition, build: Build) -> bool:
    """Whether the program takes the options that make it this edition."""
    argv = [*build.programs[edition.program].argv(), *edition.flags, "--help"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _settled(top: Topology, spec: Spec, build: Build) -> Topology:
    if any(point.edition for point in points(spec)):
        return top  # each point has its own (at_point)
    refused: list[str] = []
    chosen = known.find(top.wire).edition(None)
    for edition in known.find(top.wire).in_turn(spec.generator)[:-1]:
        reason = _why_not(edition, top, build)
        if reason is None:
            chosen = edition
            break
        refused.append(f"{edition.name} cannot run here: {reason}")
    note = f"generator: {'; '.join(refused)}; {chosen.name} sends the load" if refused else ""
    changed = {
        "generator": chosen.name,
        "placement": "; ".join(filter(None, (top.placement, chosen.work))),
        "notes": tuple(filter(None, (*top.notes, note))),
    }
    return top.model_copy(update=changed)


def _why_not(edition: Edition, top: Topology, build: Build) -> str | None:
    if edition.program not in build.programs:
        return build.missing.get(edition.program, "it was not built")
    return edition.tried(top)
