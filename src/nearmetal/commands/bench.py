"""bench: measure the rows of a spec on this machine, and write a report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearmetal import bench as flow
from nearmetal.build.against import found
from nearmetal.commands import bench_options, last
from nearmetal.commands.rows import usual
from nearmetal.report import Report
from nearmetal.spec.experiment import load, with_rounds
from nearmetal.spec.services import ServiceRow
from nearmetal.trial.progress import Shown


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    spec: str | None
    rungs: str | None
    rounds: int | None
    against: str | None
    out: Path | None
    yes: bool
    quiet: bool


def bench(options: Options, own: Sequence[ServiceRow]) -> tuple[Report, Path, int] | None:
    """Run the spec; return the report, the run's folder and the exit code.

    own: the users' services of --service. None: the user does not start it.
    """
    path = flow.spec_path(options.spec or usual(own))
    chosen = with_rounds(load(path, options.rungs, own), options.rounds)
    flow.check_one_machine(path, chosen)
    other = None if options.against is None else found(options.against)
    folder = flow.new_folder(options.out, chosen.name)
    said = f"{path}: {flow.announced(chosen, folder, paired=other is not None)}"
    if not options.quiet:
        print(said, file=sys.stderr)
    if not (options.yes or bench_options.start_is_wanted()):
        folder.rmdir()
        return None
    last.note(folder)
    with Shown(quiet=options.quiet) as shown:
        result, code = flow.bench(chosen, folder, shown, other)
    return result, folder, code
