"""What the stages before left in a run's folder, read back into values.

Only spec.json must be there: a run may end at any stage, and its report says where.
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

_BATCH, _PLAIN = "host-mmsg", "host-mmsg-plain"

Facts = dict[str, object]


class RunState(BaseModel):
    """run.json: how the run went. Without it the run was killed before its end."""

    model_config = ConfigDict(frozen=True)

    skipped: Mapping[str, str] = {}
    unpaired: Mapping[str, str] = {}  # "rung service" -> why, where another tree is measured too
    partial: bool = False
    reason: str = ""
    started_utc: str | None = None
    finished_utc: str | None = None


KILLED = RunState(partial=True, reason="the run did not come to its end (run.json is missing)")
TORN = "the last line of samples.jsonl is cut off: that trial is left out"


@dataclass(frozen=True)
class Folder:
    """Everything a report is made from."""

    name: str
    spec: Spec
    state: RunState
    topology: Facts
    build: Facts
    machine: Facts
    samples: tuple[Sample, ...]

    def setting(self) -> Setting:
        """What the statistics need beside the samples."""
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
        """All but the trials of another tree's programs."""
        return tuple(each for each in self.samples if each.against is None)

    def other(self) -> Other | None:
        """The other tree, where its programs were measured beside ours."""
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
    """Read a run's folder; whatever is malformed is named."""
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
    """How the run went, and whether its last line is whole."""
    state = RunState.model_validate(_facts(file)) if file.is_file() else KILLED
    if not (samples_file.is_file() and samples.is_torn(samples_file)):
        return state
    reason = "; ".join(filter(None, (state.reason, TORN)))
    return state.model_copy(update={"partial": True, "reason": reason})


def wires(topology: Facts) -> list[Facts]:
    """Each wire of topology.json; version 1 was one wire itself."""
    found = topology.get("wires", [topology] if topology else [])
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _of_rows(standing: str) -> str:
    """The wire of a run's rows: the one that stood, or that for which it stood in."""
    others = (wire.stands_in_for for wire in known() if wire.name == standing)
    return next((other.name for other in others if other), standing)


def paper_rows(path: Path) -> dict[str, Paper]:
    """The paper's figures by our names of the rungs; none where the file is not installed."""
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
    # The paper's batch joined no replies, as ours does not where it is plain.
    return found | ({_PLAIN: found[_BATCH]} if _BATCH in found else {})


def _facts(path: Path) -> Facts:
    """A JSON object; empty when the run ended before the stage that writes it."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:  # also: no UTF-8
        raise BadInputError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadInputError(f"{path} does not hold a JSON object")
    return value


def _standing(wire: Facts) -> Standing:
    sut, tg = wire.get("sut_cpu"), wire.get("tg_cpu")
    placement, notes = wire.get("placement"), wire.get("notes")
    return Standing(
        wire=str(wire.get("wire")),
        placement=str(placement) if placement else None,
        cores=Cores(
            sut=sut if isinstance(sut, int) else None, tg=tg if isinstance(tg, int) else None
        ),
        notes=tuple(map(str, notes)) if isinstance(notes, list) else (),
    )
