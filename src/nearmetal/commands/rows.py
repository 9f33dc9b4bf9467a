"""list: show which rows run here, and the one thing that each other row lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from nearmetal import bench
from nearmetal.dut.available import why_not
from nearmetal.report.layout import Column, paragraph, table
from nearmetal.spec.experiment import Spec, load
from nearmetal.spec.rows import Named
from nearmetal.spec.rungs import PLACES, RUNGS, Rung
from nearmetal.spec.services import ServiceRow

_HEADS = (
    Column(""),
    Column("row"),
    Column("what it is", spare=2),
    Column("datapath", spare=3),
    Column("wire", spare=1),
    Column("answers", spare=4),
)


@dataclass(frozen=True)
class Listed:
    """A row in the JSON output of `list`."""

    row: str
    runs_here: bool
    lacks: str | None  # why it does not run here
    in_bench: bool  # whether `bench` measures it without --rungs
    place: str
    datapath: str | None
    wire: str
    services: tuple[str, ...]


def usual(own: Sequence[ServiceRow]) -> str:
    """Return the name of the spec that `bench` measures unasked. own: those of --service."""
    return "service" if own else "quick"


def listed(own: Sequence[ServiceRow] = ()) -> list[Listed]:
    """Return every row, or those that serve users' services. Changes nothing on the machine."""
    usual = {row.rung.name for row in _usual(own).rungs}
    named = Named(1, own=tuple(own))
    rungs = (named.rung(rung.name) for rung in RUNGS)
    return [
        _listed(rung.model_copy(update={"services": served}), usual)
        for rung in rungs
        if (served := named.usual(rung))
    ]


def _listed(rung: Rung, usual: set[str]) -> Listed:
    lacks = why_not(rung)
    return Listed(
        rung.name,
        lacks is None,
        lacks,
        rung.name in usual,
        rung.place,
        rung.datapath,
        rung.wire,
        rung.services,
    )


def as_json(own: Sequence[ServiceRow] = ()) -> Iterator[str]:
    """Yield one JSON object per row."""
    for row in listed(own):
        yield json.dumps(asdict(row))


def in_words(width: int | None, own: Sequence[ServiceRow] = ()) -> Iterator[str]:
    """Yield lines: the rows that run here, the others with reasons, and commands to try."""
    rows = listed(own)
    here = [row for row in rows if row.runs_here]
    yield f"runs here: {len(here)} of {len(rows)} rows"
    yield ""
    yield from table(_HEADS, [_cells(row) for row in here], width)
    yield ""
    yield from paragraph(
        f"*: bench measures these, in about {minutes(rows, own)} min; name others with --rungs",
        width,
    )
    yield from not_here(rows, width)
    yield ""
    files = "".join(f" --service {each.own.c or each.own.path}" for each in own if each.own)
    two = "host-sock,host-mmsg" if own else "host-sock,host-mmsg:echo"
    yield f"measure two rows:  nearmetal bench --rungs {two}{files}"
    yield f"serve one:         nearmetal serve host-mmsg{files}"


def not_here(rows: list[Listed], width: int | None) -> Iterator[str]:
    """Yield lines: the rows that do not run here, grouped by reason."""
    reasons = dict.fromkeys(row.lacks for row in rows if row.lacks is not None)
    for reason in reasons:
        names = [row.row for row in rows if row.lacks == reason]
        yield ""
        yield from paragraph(f"not here: {', '.join(names)}", width)
        yield from paragraph(f"because: {reason}", width, indent=2)


def minutes(rows: list[Listed], own: Sequence[ServiceRow] = ()) -> int:
    """Return how many minutes `bench` takes here, without the time to build."""
    spec, here = _usual(own), {row.row for row in rows if row.runs_here}
    chosen = tuple(row for row in spec.rungs if row.rung.name in here)
    seconds, _ = bench.estimate(spec.model_copy(update={"rungs": chosen}))
    return max(1, round(seconds / 60))


def _cells(row: Listed) -> tuple[str, ...]:
    what = PLACES.get(row.place, "reference" if row.place == "reference" else "process")
    star = "*" if row.in_bench else ""
    return star, row.row, what, row.datapath or "", row.wire, ", ".join(row.services)


def _usual(own: Sequence[ServiceRow]) -> Spec:
    return load(bench.spec_path(usual(own)), own=own)
