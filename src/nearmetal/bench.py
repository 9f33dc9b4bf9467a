"""The flow from a spec to a report, stage by stage; each stage writes a file into the run's folder.

spec -> build -> topology -> run -> samples -> report
"""

from __future__ import annotations

import datetime
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from nearmetal import report
from nearmetal.build import against
from nearmetal.build import programs as build
from nearmetal.dut import ukp
from nearmetal.errors import BadInputError, NearmetalError, in_words
from nearmetal.machine import facts
from nearmetal.machine.journal import clean
from nearmetal.machine.links import eal
from nearmetal.machine.processes.lock import machine_lock
from nearmetal.machine.tune.apply import tuned
from nearmetal.paths import source_root, write_whole
from nearmetal.report import Report
from nearmetal.spec import own_service, services
from nearmetal.spec.experiment import Spec, at, memory_bytes, points
from nearmetal.spec.programs import program_of, programs_beside
from nearmetal.spec.rungs import Rung
from nearmetal.topology import bring_up as topology
from nearmetal.topology import known
from nearmetal.trial import edition, rounds
from nearmetal.trial.progress import Shown

_DISK_BYTES = 100_000  # of one sample with its histogram, rounded up


def bench(
    chosen: Spec, folder: Path, shown: Shown, other: against.Tree | None = None
) -> tuple[Report, int]:
    """Run all stages of a spec; returns the report and the exit code.

    other: a tree whose programs are measured beside ours, pair by pair. Exit code: 0 done, 1 a row
    failed or had wrong answers.
    """
    chosen = with_records(chosen, folder)
    write(folder / "spec.json", chosen)
    write(folder / "machine.json", facts.facts())
    with machine_lock():
        for line in clean():
            shown.say(f"left behind by a killed run, undone: {line}")
        began = time.monotonic()
        built = build.build(programs(chosen), progress=shown.stage, own=chosen.own)
        if other is not None:
            built = against.beside(built, other, chosen, shown.stage)
        write(folder / "build.json", built)
        shown.say(f"built in {time.monotonic() - began:.0f} s")
        _measure(chosen, built, folder, shown)
    result = reported(folder, shown)
    return result, 1 if result.failed else 0


def with_records(chosen: Spec, folder: Path) -> Spec:
    """Write what the generator asks users' services into the folder; return the spec with it."""
    own = (own_service.asking(each, folder / f"{each.name}.records") for each in chosen.own)
    return chosen.model_copy(update={"own": tuple(own)})


def _measure(chosen: Spec, built: build.Build, folder: Path, shown: Shown) -> None:
    """Tune the machine, bring up the wires and run the rounds."""
    with measuring(folder, shown), tuned(chosen.machine) as applied:
        for each in applied:
            shown.say(str(each))
        if applied:
            write(folder / "machine.json", facts.facts())  # the machine as tuned
        shown.stage("bringing up the wire")
        rungs = [row.rung for row in chosen.rungs]
        with topology.up_all((rung.wire for rung in rungs), hugepages_bytes(chosen)) as wires:
            wires = edition.settled(wires, chosen, built).model_copy(update={"machine": applied})
            write(folder / "topology.json", wires)
            rounds.run(chosen, built, wires, folder, shown)


def reported(folder: Path, shown: Shown) -> Report:
    """Write the report of a complete run. Ctrl-C meanwhile prints how to make the report."""
    try:
        return report.write(folder)
    except KeyboardInterrupt:
        shown.say(f"measured, but not reported; the report is made by: nearmetal report {folder}")
        raise


@contextmanager
def measuring(folder: Path, shown: Shown) -> Iterator[None]:
    """Run the body; if it ends by an exception, report the samples taken until then."""
    began = time.monotonic()
    try:
        yield
    except BaseException:
        shown.say(_partial(folder))
        raise
    finally:
        shown.say(f"measured in {time.monotonic() - began:.0f} s")


def _partial(folder: Path) -> str:
    """Write the report of a run that ended early; returns a line that says where it is."""
    try:
        report.write(folder)
    except (NearmetalError, OSError) as error:  # as on a full disk
        why = str(error) if isinstance(error, NearmetalError) else in_words(error)
        return (
            f"what was measured until then is kept, but not reported: {why}; the report is made by:"
            f" nearmetal report {folder}"
        )
    return f"partial: what was measured until then is in {folder / 'report.html'}"


def write(path: Path, value: BaseModel) -> None:
    """Write a stage's file."""
    write_whole(path, value.model_dump_json(indent=2) + "\n")


def programs(chosen: Spec) -> list[str]:
    """Names of the programs that the rows of a spec start or need."""
    names = {
        program_of(row.rung, service)
        for row in chosen.rungs
        for service in row.services
        if row.rung.absent is None
    }
    names |= edition.optional(chosen)
    return sorted(names.union(*(programs_beside(row.rung) for row in chosen.rungs)))


def hugepages_bytes(chosen: Spec) -> int:
    """Bytes of huge pages that the largest server needs; only one server runs at a time."""
    sizes = [
        _frames_bytes(row.rung) + memory_bytes(at(chosen, point), row.rung.name)
        for row in chosen.rungs
        if row.rung.hugepages
        for point in points(chosen)
    ]
    return max(sizes, default=0)


def _frames_bytes(rung: Rung) -> int:
    """Bytes of huge pages for frames, without the store."""
    return ukp.MEMORY_BYTES if rung.place == "ukp" else eal.MEMORY_BYTES


def estimate(chosen: Spec, *, paired: bool = False) -> tuple[float, int]:
    """Rough seconds and bytes of disk of a run: start, preload, read-back and trial of each row.

    paired: with another tree's programs beside ours.
    """
    seconds = 0.0
    trials = 0
    for row in (row for row in chosen.rungs if row.rung.absent is None):
        start_s, rate = _rough(row.rung)
        for service in row.services:
            sides = 2 if paired and against.under_test(row.rung, service) else 1
            seconds += sides * 2  # the quick corpus
            for point in points(chosen):
                keys = at(chosen, point).workload.keys
                preload_s = 2 * keys / rate if services.find(service).stores else 0
                trial_s = start_s + preload_s + chosen.warmup_s + chosen.measured_s
                seconds += sides * row.rounds * trial_s
                trials += sides * row.rounds
    return seconds, trials * _DISK_BYTES


def announced(chosen: Spec, folder: Path, *, paired: bool = False) -> str:
    """The estimate of a run in words; NearmetalError: the disk has not enough room."""
    seconds, disk_bytes = estimate(chosen, paired=paired)
    check_disk(folder, disk_bytes)
    minutes, mib = max(1, round(seconds / 60)), max(1, disk_bytes >> 20)
    return f"{len(chosen.rungs)} rungs, about {minutes} min and {mib} MiB in {folder}"


def check_one_machine(path: Path, chosen: Spec) -> None:
    """BadInputError: the spec needs several machines."""
    if chosen.sweep is not None and chosen.sweep.axis == "generators":
        raise BadInputError(
            f"{path}: sweep.generators: one machine has one generator only;"
            f" try: nearmetal testbed rehearse --spec {path}"
        )


def new_folder(out: Path | None, name: str) -> Path:
    """Make the run's folder: out, or runs/<UTC>-<name> in the current folder.

    BadInputError: out is not empty, or cannot be made or written.
    """
    utc = datetime.datetime.now(datetime.UTC)
    folder = out or Path("runs") / f"{utc:%Y%m%dT%H%M%SZ}-{name}"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInputError(f"--out {folder}: exists and is not an empty folder; name another")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"--out {folder}: cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise BadInputError(f"--out {folder}: cannot be written to")
    return folder


def check_disk(folder: Path, needed_bytes: int) -> None:
    """NearmetalError: the disk has less room than a run needs."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise NearmetalError(
            f"{folder}: the run needs about {needed_bytes >> 20} MiB of disk, {free >> 20} are free"
        )


def spec_path(text: str) -> Path:
    """Path of --spec: a file, or the name of one in specs/; BadInputError: no such name."""
    if "/" in text or text.endswith(".toml"):
        return Path(text)
    known = sorted((source_root() / "specs").glob("*.toml"))
    for path in known:
        if path.stem == text:
            return path
    names = ", ".join(path.stem for path in known)
    raise BadInputError(f"--spec {text}: no such spec (known: {names}; or give a path)")


def _rough(rung: Rung) -> tuple[int, int]:
    """Rough seconds of a start, and requests per second while keys are stored."""
    shares_memory = known.find(rung.wire).shares_memory
    if rung.place == "guest":
        return 3, 500_000 if rung.in_frames and shares_memory else 15_000
    if shares_memory:
        return 1, 500_000 if rung.place == "uk" else 2_000_000
    is_python = rung.uses is not None and rung.uses.is_python
    return 1, 15_000 if is_python else 200_000
