"""Reads the files that the earlier stages wrote into a run's folder.

Only spec.json must be there: a run may end at any stage, and its report says so.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from nearmetal import samples
from nearmetal.errors import BadInputError
from nearmetal.paths import source_root
from nearmetal.report.against import Other
from nearmetal.report.compute import Setting, Standing
from nearmetal.report.row import Cores, Paper
from nearmetal.samples import Sample
from nearmetal.spec.experiment import Spec
from nearmetal.topology.known import known

PAPER_CSV = source_root() / "data" / "reference" / "table4.csv"
PAPER_SOURCE = "Unikraft, EuroSys 2021, Table 4 ({source}); another machine, mostly echo"

# A row that does what another row of the paper's table does: the paper's batch server joined no
# replies, and its unikernels ran on a PC.
_LIKE = {"host-mmsg-plain": "host-mmsg", "uk-netdev-q35": "uk-netdev"}

Facts = dict[str, object]


class RunState(BaseModel):
    """run.json: how the run ended. Without the file the run was killed."""

    model_config = ConfigDict(frozen=True)

    skipped: Mapping[str, str] = {}
    unpaired: Mapping[str, str] = {}  # "rung service" -> why the other tree lacks the row
    partial: bool = False
    reason: str = ""
    started_utc: str | None = None
    finished_utc: str | None = None


KILLED = RunState(partial=True, reason="the run did not come to its end (run.json is missing)")
TORN = "the last line of samples.jsonl is cut off: that trial is left out"


@dataclass(frozen=True)
class Folder:
    """Contents of a run's folder."""

    name: str
    spec: Spec
    state: RunState
    topology: Facts
    build: Facts
    machine: Facts
    samples: tuple[Sample, ...]

    def setting(self) -> Setting:
        """Inputs of the statistics beside the samples."""
        standing = [_standing(wire) for wire in wires(self.topology)]
        return Setting(
            spec=self.spec,
            wires={_of_rows(each.wire): each for each in standing},
            skipped=self.state.skipped,
            partial=self.state.partial,
            reason=self.state.reason,
            paper=paper_rows(PAPER_CSV),
        )

    def ours(self) -> tuple[Sample, ...]:
        """Samples of this tree's programs."""
        return tuple(each for each in self.samples if each.against is None)

    def other(self) -> Other | None:
        """The other tree; None: only this tree's programs were measured."""
        build = self.build.get("against")
        if not isinstance(build, dict):
            return None
        return Other(
            name=str(build.get("name")),
            commit=build.get("commit"),
            dirty=bool(build.get("dirty")),
            unpaired=self.state.unpaired,
            samples=self.samples,
            reason=self.state.reason,
        )


def read(folder: Path) -> Folder:
    """Read a run's folder; BadInputError names the file that is missing or malformed."""
    if not (folder / "spec.json").is_file():
        raise BadInputError(f"{folder} is not the folder of a run: it holds no spec.json")
    try:
        samples_file = folder / "samples.jsonl"
        return Folder(
            name=folder.resolve().name,
            spec=Spec.model_validate_json((folder / "spec.json").read_bytes()),
            state=_state(folder / "run.json", samples_file),
            topology=_facts(folder / "topology.json"),
            build=_facts(folder / "build.json"),
            machine=_facts(folder / "machine.json"),
            samples=tuple(samples.read(samples_file)) if samples_file.is_file() else (),
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BadInputError(f"{folder}: {error.title}: {where}: {first['msg']}") from error


def _state(file: Path, samples_file: Path) -> RunState:
    """State of the run; partial, too, if the last line of samples.jsonl is cut off."""
    state = RunState.model_validate(_facts(file)) if file.is_file() else KILLED
    if not (samples_file.is_file() and samples.is_torn(samples_file)):
        return state
    reason = "; ".join(filter(None, (state.reason, TORN)))
    return state.model_copy(update={"partial": True, "reason": reason})


def wires(topology: Facts) -> list[Facts]:
    """Wires of topology.json; in version 1 the file itself is one wire."""
    found = topology.get("wires", [topology] if topology else [])
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _of_rows(standing: str) -> str:
    """The wire named in the rungs for a wire that was brought up, which may be a stand-in."""
    others = (wire.stands_in_for for wire in known() if wire.name == standing)
    return next((other.name for other in others if other), standing)


def paper_rows(path: Path) -> dict[str, Paper]:
    """The paper's figures by our names of the rungs; empty if the file is not installed."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        found = {
            line["our_rung"]: Paper(
                replies_per_s=int(line["replies_per_s"]),
                source=PAPER_SOURCE.format(source=line["source"]),
            )
            for line in csv.DictReader(file)
        }
    return found | {ours: found[other] for ours, other in _LIKE.items() if other in found}


def _facts(path: Path) -> Facts:
    """Read a JSON object; empty if the run ended before the stage that writes the file."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:  # also for bytes that are not UTF-8
        raise BadInputError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInputError(f"{path} does not hold a JSON object")
    return value


def _standing(wire: Facts) -> Standing:
    sut, tg = wire.get("sut_cpu"), wire.get("tg_cpu")
    placement, notes = wire.get("placement"), wire.get("notes")
    generator = wire.get("generator")
    return Standing(
        wire=str(wire.get("wire")),
        placement=str(placement) if placement else None,
        generator=str(generator) if generator else None,
        cores=Cores(
            sut=sut if isinstance(sut, int) else None, tg=tg if isinstance(tg, int) else None
        ),
        notes=tuple(map(str, notes)) if isinstance(notes, list) else (),
    )
