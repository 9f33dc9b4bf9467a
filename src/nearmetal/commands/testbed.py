"""testbed: measure over the machines that a file names, or rehearse in network namespaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearmetal import bench
from nearmetal.commands import last, rows
from nearmetal.errors import BadInputError
from nearmetal.machine.journal import clean, open_journal
from nearmetal.machine.links.nic import Take
from nearmetal.machine.processes.lock import machine_lock
from nearmetal.report import Report
from nearmetal.spec.experiment import Spec, points, with_rounds
from nearmetal.spec.experiment import load as load_spec
from nearmetal.spec.services import ServiceRow
from nearmetal.testbed import flow, rehearsal
from nearmetal.testbed.enos import EnosTestbed
from nearmetal.testbed.spec import load
from nearmetal.trial.progress import Shown

_GENERATORS_MAX = 4  # of a rehearsal


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    spec: str | None
    rungs: str | None
    rounds: int | None
    out: Path | None
    generators: int | None
    take: Take | None
    quiet: bool


def run(
    action: str, machines: Path | None, options: Options, own: Sequence[ServiceRow]
) -> tuple[Report, Path, int]:
    """Measure; return the report, its folder and the exit code. Raises BadInputError.

    own: the users' services of --service.
    """
    _check(action, machines, options)
    bed_spec = load(machines) if machines is not None else None
    spec = options.spec or ("rehearsal" if bed_spec is None else rows.usual(own))
    chosen = load_spec(bench.spec_path(spec), options.rungs, own)
    chosen = with_rounds(chosen, options.rounds)
    wanted = asking(chosen)
    have = len(bed_spec.tg) if bed_spec is not None else options.generators or wanted
    if have < wanted:
        raise BadInputError(
            f"{chosen.name}: sweep.generators needs {wanted} generators, there are {have}:"
            f" {'add a [[tg]]' if bed_spec is not None else 'leave --generators out'}"
        )
    folder = bench.new_folder(options.out, f"{chosen.name}-testbed")
    last.note(folder)
    with Shown(quiet=options.quiet) as shown:
        if bed_spec is not None:
            bed = EnosTestbed(bed_spec)
            result, code = flow.measure(bed, bed_spec, chosen, folder, shown)
            return result, folder, code
        return _rehearse(chosen, folder, shown, have, options.take)


def _check(action: str, machines: Path | None, options: Options) -> None:
    """BadInputError: the words do not fit together."""
    generators, take = options.generators, options.take
    if action not in ("run", "rehearse"):
        raise BadInputError(f"testbed {action}: give run or rehearse")
    if (action == "run") != (machines is not None):
        raise BadInputError(f"testbed {action}: run needs a file of machines, rehearse takes none")
    if generators is not None and not 1 <= generators <= _GENERATORS_MAX:
        raise BadInputError(f"--generators {generators}: give 1 to {_GENERATORS_MAX}")
    if take is not None and action == "run":
        raise BadInputError(
            f"--take {take}: only with rehearse; for run, set it in the machines file"
        )


def asking(spec: Spec) -> int:
    """Return the largest number of generators that a point of the spec needs."""
    return max(point.generators or 1 for point in points(spec))


def _rehearse(
    chosen: Spec, folder: Path, shown: Shown, generators: int, take: Take | None
) -> tuple[Report, Path, int]:
    with machine_lock():
        for line in clean():
            shown.say(f"left behind by a killed run, undone: {line}")
        shown.stage("making machines of namespaces")
        with rehearsal.standing(open_journal(), generators, take) as made:
            bed = EnosTestbed(made.spec)
            result, code = flow.measure(bed, made.spec, chosen, folder, shown)
    return result, folder, code
