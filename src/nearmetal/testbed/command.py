"""The command `testbed`: run on machines that a file names, or rehearse on made-up ones."""

from __future__ import annotations

from pathlib import Path

from nearmetal import bench, lab
from nearmetal.errors import BadInputError
from nearmetal.lab.journal import open_journal
from nearmetal.progress import Shown
from nearmetal.report import Report
from nearmetal.spec import Spec
from nearmetal.spec import load as load_spec
from nearmetal.testbed import flow, rig
from nearmetal.testbed.enos import EnosTestbed
from nearmetal.testbed.spec import load

_GENERATORS_MAX = 4  # of a rehearsal


def run(
    action: str,
    machines: Path | None,
    spec: str,
    rungs: str | None,
    out: Path | None,
    generators: int,
) -> tuple[Report, Path, int]:
    """Measure; gives the report, its folder and the exit code."""
    if action not in ("run", "rehearse"):
        raise BadInputError(f"testbed {action}: run or rehearse")
    if (action == "run") != (machines is not None):
        raise BadInputError(f"testbed {action}: run takes a file of machines, rehearse makes them")
    if not 1 <= generators <= _GENERATORS_MAX:
        raise BadInputError(f"--generators {generators}: 1 to {_GENERATORS_MAX}")
    bed_spec = load(machines) if machines is not None else None
    chosen = load_spec(bench.spec_path(spec), rungs)
    folder = bench.new_folder(out, f"{chosen.name}-testbed")
    with Shown() as shown:
        if bed_spec is not None:
            bed = EnosTestbed(bed_spec)
            result, code = flow.measure(bed, bed_spec, chosen, folder, shown)
            return result, folder, code
        return _rehearse(chosen, folder, shown, generators)


def _rehearse(
    chosen: Spec, folder: Path, shown: Shown, generators: int
) -> tuple[Report, Path, int]:
    with lab.machine_lock():
        for line in lab.clean():
            shown.say(f"left behind by a run that was killed, undone: {line}")
        shown.stage("making machines of namespaces")
        with rig.standing(open_journal(), generators) as made:
            bed = EnosTestbed(made.spec)
            result, code = flow.measure(bed, made.spec, chosen, folder, shown)
    return result, folder, code
