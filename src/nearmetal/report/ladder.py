"""ladder.svg: the rungs of a run, from the farthest to the closest to the metal, on one chart.

A rung has one line: its median rate, the interval over the rounds, its cycles per reply. Rows are
grouped by wire, because a ratio between two wires also holds the difference of the wires. The file
is static: no script, no font, no date. The same rows give the same bytes. To draw a run again from
its report.csv: python -m nearmetal.report.ladder FILE.csv > ladder.svg
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from nearmetal.paths import write_whole
from nearmetal.report.caveats import is_null_responder
from nearmetal.report.row import Row
from nearmetal.report.templates import environment
from nearmetal.report.words import count, cycles
from nearmetal.samples import Point
from nearmetal.spec import datapaths, services
from nearmetal.topology.known import find

FILE = "ladder.svg"
NOTHING = "No row of this run has a rate at one load in a closed loop: there is nothing to draw."

# Pixels of the picture.
WIDTH, LEFT, RIGHT = 880, 282, 672  # LEFT to RIGHT: the axis
TOP, FOOT = 86, 116  # above and below all groups
HEAD, STEP, TAIL = 32, 36, 8  # of a group: its title, each row, the room below

_PLACES = get_args(datapaths.Place)
_PLACE_WORDS = {"guest": "Linux guest, ", "uk": "unikernel, ", "ukp": "unikernel as a process, "}
_ACCELERATORS = {
    "tcg": "emulated by QEMU (TCG): compare with one another only",
    "kvm": "run by KVM",
}
_INTERVALS = {
    "minmax": "lowest to highest round",
    "bca95": "95 % interval of the median",
}


@dataclass(frozen=True)
class Step:
    """One line of the picture. y: of its middle; x, low, high: None without a rate."""

    name: str
    words: str
    y: int
    kind: str  # of the mark: rung, reference, limit
    floor: bool
    x: float | None
    low: float | None
    high: float | None
    rate: str
    cycles: str
    state: str  # why there is no rate; "" where there is one


@dataclass(frozen=True)
class Group:
    """The rows of one wire; those of virtual machines apart."""

    title: str
    words: str
    y: int  # of its title
    end: int  # below its last row
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Axis:
    """A logarithmic scale from low to high, in replies per second."""

    low: float
    high: float

    def x(self, rate: float) -> float:
        """Return the place of a rate, in pixels from the left."""
        part = math.log(rate / self.low) / math.log(self.high / self.low)
        return round(LEFT + part * (RIGHT - LEFT), 1)

    def ticks(self, *factors: int) -> list[tuple[float, str]]:
        """Return place and label of each power of ten, times each factor."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        rates = [factor * 10.0**power for power in powers for factor in factors]
        return [(self.x(rate), _short(rate)) for rate in rates if self.low <= rate <= self.high]


def write(run: str, rows: Iterable[Row], folder: Path) -> None:
    """Write the picture into a run's folder."""
    write_whole(folder / FILE, draw(run, rows))


def draw(run: str, rows: Iterable[Row]) -> str:
    """Draw the picture as SVG; of a run without a rate, a picture that says so."""
    chosen = _chosen(rows)
    axis = _axis(chosen)
    if axis is None:
        return _render(run=run, groups=(), height=TOP + HEAD, nothing=NOTHING)
    groups, y = [], TOP
    for each in _grouped(chosen):
        groups.append(_group(each, axis, y))
        y = groups[-1].end
    kinds = dict.fromkeys(row.interval for row in chosen if row.interval)
    return _render(
        run=run,
        groups=groups,
        head=HEAD,
        height=y + FOOT,
        nothing="",
        workload=" and ".join(dict.fromkeys(row.workload for row in chosen)),
        bottom=y,
        axis=axis,
        interval=", or the ".join(_INTERVALS[kind] for kind in kinds),
    )


def _render(**values: object) -> str:
    template = environment().get_template(FILE)
    return template.render(width=WIDTH, left=LEFT, right=RIGHT, top=TOP, **values) + "\n"


def _chosen(rows: Iterable[Row]) -> list[Row]:
    """Choose one row for each rung: the one with a store, else the first."""
    found: dict[str, Row] = {}
    for row in rows:
        if row.loop == "closed" and row.point == Point():
            known = found.setdefault(row.rung, row)
            if _stores(row) and not _stores(known):
                found[row.rung] = row
    return list(found.values())


def _stores(row: Row) -> bool:
    return services.find(row.service).stores


def _axis(rows: Sequence[Row]) -> Axis | None:
    """Make a scale with room for every interval; None: no row has a rate."""
    rates = [
        rate
        for row in rows
        for rate in (row.replies_per_s.low, row.replies_per_s.median, row.replies_per_s.high)
        if rate
    ]
    return Axis(min(rates) / 1.3, max(rates) * 1.3) if rates else None


def _grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """Group rows by wire, in the order of the run; sort each group towards the metal."""
    groups: dict[tuple[str, bool], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.wire, _is_virtual(row)), []).append(row)
    return [sorted(group, key=_closeness) for group in groups.values()]


def _is_virtual(row: Row) -> bool:
    return row.knobs.get("machine") is not None or row.place == "image"


def _closeness(row: Row) -> tuple[object, ...]:
    """Sort key: servers of others, our rungs, programs without a store, the limit of the wire."""
    if row.datapath is None:
        return (3 if is_null_responder(row.rung) else 0 if _stores(row) else 2,)
    uses = datapaths.find(row.datapath)
    own = uses.nic == "own"
    return (
        1,
        _PLACES.index(row.place),
        own,
        own and uses.library is None,  # nothing between server and ring
        datapaths.datapaths().index(uses),
        bool(row.knobs.get("segment")),
    )


def _group(rows: Sequence[Row], axis: Axis, y: int) -> Group:
    steps = tuple(_step(row, axis, y + HEAD + STEP * at) for at, row in enumerate(rows))
    first, end = rows[0], y + HEAD + STEP * len(rows) + TAIL
    title, words = first.wire, [_wire_words(first), f"window {first.window}"]
    if _is_virtual(first):
        title += ", virtual machines"
        used = dict.fromkeys(row.accelerator for row in rows if row.accelerator)
        words += [_ACCELERATORS.get(name, name) for name in used]
    return Group(title, ", ".join(words), y, end, steps)


def _wire_words(row: Row) -> str:
    wire = find(row.wire)
    if wire.switched:
        return "behind a switch"
    if wire.shares_memory:
        return "rings in shared memory"
    return "a tap device" if wire.tapped else "the kernel's network stack"


def _step(row: Row, axis: Axis, y: int) -> Step:
    rate = row.replies_per_s
    known = row.status == "ok" and bool(rate.median)
    x, low, high = (
        axis.x(value) if known and value else None for value in (rate.median, rate.low, rate.high)
    )
    floor = known and bool(row.generator_bound)
    reason = " ".join(f"{row.status}: {row.reason}".split())
    return Step(
        name=row.rung,
        words=_words(row),
        y=y + STEP // 2,
        kind=_kind(row),
        floor=floor,
        x=x,
        low=low,
        high=high,
        rate=("≥ " if floor else "") + count(rate.median) if known else "",
        cycles=cycles(row.busy_cycles_per_reply) if known else "",
        state="" if known else reason,
    )


def _kind(row: Row) -> str:
    if is_null_responder(row.rung):
        return "limit"
    return "rung" if row.datapath else "reference"


def _words(row: Row) -> str:
    """Describe the rung in a few words, from the table of datapaths."""
    if row.place == "image":
        return "a foreign image"
    if row.datapath is None:
        if is_null_responder(row.rung):
            return "the generator's limit on this wire"
        return "for comparison" if _stores(row) else "for comparison: echo, no store"
    uses = datapaths.find(row.datapath)
    how = _how(row, uses) + ("" if _stores(row) else f": {row.service}")
    return _PLACE_WORDS.get(row.place, "") + how


def _how(row: Row, uses: datapaths.Datapath) -> str:
    if uses.nic == "own":
        library = uses.library
        return "on the ring itself" if library is None else f"through {library.removeprefix('lib')}"
    if uses.is_python:
        return "kernel sockets, in Python"
    if uses.at_interface:
        return "frames of an interface, past the kernel's IP"
    batch = f", {row.knobs['batch']} a call" if row.knobs.get("batch") else ", one a call"
    return f"kernel sockets{batch}" + (", joined replies" if row.knobs.get("segment") else "")


def _short(rate: float) -> str:
    return count(rate).replace(".00", "").replace(".0", "")


def read_csv(path: Path) -> tuple[str, tuple[Row, ...]]:
    """Read the name of a run, and its rows as far as the picture needs them, from a report.csv."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return lines[0]["run"] if lines else path.stem, tuple(_row(line) for line in lines)


def _row(cells: dict[str, str]) -> Row:
    values: dict[str, object] = {}
    for column, text in cells.items():
        name, _, member = column.partition(".")
        field = Row.model_fields.get(name)
        if field is None or name in ("guest", "paper", "accelerator_loops_per_s"):
            continue
        value = json.loads(text) if text.startswith("[") else text or None
        if not member:
            values[name] = text if field.annotation is str else value
        elif value is not None:
            inner = values.setdefault(name, {})
            assert isinstance(inner, dict)
            inner[member] = value
    return Row.model_validate({"knobs": {}, **values})


if __name__ == "__main__":
    sys.stdout.write(draw(*read_csv(Path(sys.argv[1]))))
