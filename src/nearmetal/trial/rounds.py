"""Stage 4: the trials of a run, one after the other; each appends a line to samples.jsonl.

Rounds are interleaved: each round visits every row once, in a random order of its own, so that a
change of the machine's speed affects all rows alike. The points of a sweep are visited like rows;
points at a share of a row's peak come after the rounds that measure the peak. A trial without any
answer is repeated once. A row that fails is not measured further; the other rows go on. A null
responder that fails is measured again, because other rows are judged by it. With another tree's
programs (against.py) each visit is two trials, one right after the other. The samples taken before
the run ends are kept, and run.json says how it ended.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from nearmetal import samples
from nearmetal.build import against
from nearmetal.build.programs import Build
from nearmetal.dut.available import skipped
from nearmetal.errors import CannotRunError, LostError, NearmetalError, in_words
from nearmetal.machine.cores import cpus
from nearmetal.machine.processes import signals
from nearmetal.machine.vm import accelerator, qemu
from nearmetal.paths import write_whole
from nearmetal.samples import Accelerator, Point, Sample
from nearmetal.spec import sweep
from nearmetal.spec.experiment import Spec, at, points
from nearmetal.spec.programs import PROBE
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology import known
from nearmetal.topology.bring_up import Topologies
from nearmetal.trial import edition
from nearmetal.trial.bed import Bed, Row, Trial
from nearmetal.trial.trial import OneMachine, failed_sample, now_utc


class Measurer(Protocol):
    """Checks and measures rows: on this machine (trial.py), or on several (testbed/)."""

    def why_not(self, rung: Rung) -> str | None:
        """Why a row cannot be measured in this way; None: it can."""

    def check(self, trial: Trial, bed: Bed) -> None:
        """Run the quick corpus; raises NearmetalError if it fails."""

    def measure(self, trial: Trial, bed: Bed, second: Callable[[Any], None]) -> Sample:
        """Run one trial."""
        ...


class Progress(Protocol):
    """Receives the events of a run."""

    def trial_started(self, rung: str, service: Service, number: int, of: int) -> None:
        """Trial `number` (from 1) of `of` begins."""

    def trial_second(self, rung: str, service: Service, event: Any) -> None:
        """A second of the measured time is over; event: the generator's `second` line."""

    def trial_finished(self, sample: Sample) -> None:
        """A trial has ended and its sample is written."""


@dataclass
class _State:
    """State of a run; some of it becomes run.json."""

    started_utc: str
    skipped: dict[str, str] = field(default_factory=dict)
    unpaired: dict[str, str] = field(default_factory=dict)  # "rung service" -> why
    failed: set[tuple[Row, Point]] = field(default_factory=set)
    unfit: dict[Row, str] = field(default_factory=dict)  # quick corpus: why it failed, "" passed
    peaks_per_s: dict[Row, list[float]] = field(default_factory=dict)  # closed loop
    partial: bool = False
    reason: str = ""


def run(
    spec: Spec,
    build: Build,
    wires: Topologies,
    folder: Path,
    progress: Progress,
    measurer: Measurer | None = None,
) -> None:
    """Run every trial and write run.json, also on KeyboardInterrupt; measurer None: OneMachine."""
    measurer = measurer or OneMachine()
    generators = {row.rung.generator for row in spec.rungs}
    if not generators & build.programs.keys():
        reasons = "; ".join(build.missing[name] for name in sorted(generators))
        raise CannotRunError(f"nothing can be measured: {reasons}")
    state = _State(_now(), skipped(spec, build, wires) | _unsuited(spec, measurer))
    chosen = _accelerator(spec, build, wires, state)
    consoles = folder / "consoles"  # serial lines of virtual machines
    if chosen is not None:
        consoles.mkdir(exist_ok=True)
    paired = _paired(spec, build, state)
    todo = [each for each in trials(spec, paired) if each.rung.name not in state.skipped]
    try:
        with cpus.ourselves_on(wires.control_cpus):
            for number, each in enumerate(todo, 1):
                if (each.row, each.point) in state.failed and not _for_all(each.rung):
                    continue
                progress.trial_started(each.rung.name, each.service, number, len(todo))
                bed = Bed(spec, build, wires.of(each.rung.wire), chosen, consoles)
                bed = _of_the_other(bed, each) if each.against else bed
                progress.trial_finished(_visit(each, bed, progress, state, measurer, folder))
    except KeyboardInterrupt as end:
        state.partial, state.reason = True, signals.why(end)
        raise
    except BaseException as error:
        told = str(error) if isinstance(error, NearmetalError) else in_words(error)
        state.partial, state.reason = True, told or f"{type(error).__name__}: {error}"
        raise
    finally:
        _write(folder, state)


def trials(spec: Spec, paired: Collection[against.Row] = ()) -> Iterator[Trial]:
    """Every trial of the spec, in the order in which they run.

    paired: rows that are also measured with the other tree's programs.
    """
    for stage in sweep.stages(points(spec)):
        for number in range(max(row.rounds for row in spec.rungs)):
            visits = [
                Trial(row.rung, service, number, point)
                for row in spec.rungs
                for service in row.services
                for point in stage
                if number < row.rounds
            ]
            random.Random(f"{spec.seed}:{number}").shuffle(visits)
            for each in visits:
                is_paired = (each.rung.name, each.service) in paired
                yield from _both(spec.seed, each) if is_paired else (each,)


def _both(seed: int, ours: Trial) -> list[Trial]:
    """Our trial and the other tree's, one after the other.

    Which is first alternates from round to round, so that neither always runs on a machine that the
    other has just used.
    """
    both = [ours, replace(ours, against=True)]
    first = random.Random(f"{seed}:{ours.rung.name}:{ours.service}").randrange(2)
    return both if (first + ours.round) % 2 == 0 else both[::-1]


def _paired(spec: Spec, build: Build, state: _State) -> set[against.Row]:
    """Rows that the other tree has too; run.json gets the reason for each of the others."""
    found = against.pairs(spec, build)
    reasons = {" ".join(row): why for row, why in found.items() if why is not None}
    state.unpaired.update(reasons)
    return {row for row, why in found.items() if why is None}


def _of_the_other(bed: Bed, trial: Trial) -> Bed:
    """The bed with the other tree's programs under test and a console folder of their own."""
    build, consoles = against.swapped(bed.build, trial.rung, trial.service), bed.consoles
    if against.generators(trial.rung):
        bed = replace(bed, topology=edition.of_other_tree(bed.topology, bed.spec, build))
    if consoles is not None and bed.accelerator is not None:
        consoles = consoles / "against"
        consoles.mkdir(exist_ok=True)
    return replace(bed, build=build, consoles=consoles)


def _for_all(rung: Rung) -> bool:
    """Whether it is a null responder: measured in every round, as other rows are judged by it."""
    return bool(known.limited_by(rung.name))


def _unsuited(spec: Spec, measurer: Measurer) -> dict[str, str]:
    reasons = {row.rung.name: measurer.why_not(row.rung) for row in spec.rungs}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _accelerator(spec: Spec, build: Build, wires: Topologies, state: _State) -> Accelerator | None:
    """The accelerator of virtual machines; None: no row needs one, or none runs them.

    If none runs them, their rows are skipped.
    """
    rows = [row.rung for row in spec.rungs if row.rung.machine and row.rung.absent is None]
    probe = build.programs.get(PROBE)
    if probe is None or qemu.PROGRAM not in build.programs or not rows:
        return None
    try:
        return accelerator.choose(Path(probe.path), wires.sut_cpu, spec.machine.accelerator)
    except CannotRunError as error:
        state.skipped.update({rung.name: str(error) for rung in rows})
        return None


def _visit(
    each: Trial, bed: Bed, progress: Progress, state: _State, measurer: Measurer, folder: Path
) -> Sample:
    """Run one trial and append its sample; an error makes a failed sample."""
    rung, service, began_utc = each.rung, each.service, now_utc()
    try:
        point = _paced(each, state)
        bed = replace(bed, topology=edition.at_point(bed.topology, bed.build, point))
        _check_once(each, bed, state, measurer)
        sample = _tried(
            lambda: measurer.measure(
                replace(each, point=point),
                replace(bed, spec=at(bed.spec, point)),
                lambda event: progress.trial_second(rung.name, service, event),
            )
        )
    except LostError:
        raise
    except (NearmetalError, OSError, LookupError, ValueError) as error:
        sample = failed_sample(each, str(error) or type(error).__name__, began_utc)
    sample = sample.model_copy(update={"against": bed.build.name})
    if sample.status == "failed":
        state.failed.add((each.row, each.point))
    elif sample.counts is not None and not sweep.is_open(each.point):
        rate = sample.counts.answered * 1e9 / sample.counts.duration_ns
        state.peaks_per_s.setdefault(each.row, []).append(rate)
    samples.append(folder / "samples.jsonl", sample)
    return sample


def _tried(measure: Callable[[], Sample]) -> Sample:
    """Measure, and once more after a whole trial without an answer.

    A busy machine may delay a server that long. Neither wrong answers are retried nor programs that
    ended.
    """
    sample = measure()
    if not (sample.counts and sample.counts.answered == sample.counts.wrong == 0):
        return sample
    return measure().model_copy(update={"repeated": sample.reason})


def _check_once(each: Trial, bed: Bed, state: _State, measurer: Measurer) -> None:
    """Run the quick corpus before a row's first sample; its result holds for every point.

    Raises what the corpus raised, CannotRunError at later points.
    """
    row = each.row
    if row not in state.unfit:
        state.unfit[row] = "the quick corpus could not be run"
        try:
            measurer.check(each, bed)
        except NearmetalError as error:
            state.unfit[row] = str(error)
            raise
        state.unfit[row] = ""
    if state.unfit[row]:
        raise CannotRunError(state.unfit[row])


def _paced(each: Trial, state: _State) -> Point:
    """The point with its rate filled in, if that is a share of the closed loop's median rate.

    CannotRunError: the closed loop failed.
    """
    if each.point.peak_share is None:
        return each.point
    rates = state.peaks_per_s.get(each.row)
    if not rates or (each.row, Point()) in state.failed:
        raise CannotRunError("its closed loop failed, so its peak rate is not known")
    rate = round(each.point.peak_share * median(rates))
    return each.point.model_copy(update={"rate_per_s": float(max(1, rate))})


def _write(folder: Path, state: _State) -> None:
    facts = {
        "skipped": state.skipped,
        "unpaired": state.unpaired,
        "partial": state.partial,
        "reason": state.reason,
        "started_utc": state.started_utc,
        "finished_utc": _now(),
    }
    text = json.dumps(facts, indent=2) + "\n"
    write_whole(folder / "run.json", text)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
