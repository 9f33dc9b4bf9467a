"""Stage 1: read a spec file, which defines what to measure, and check all of it before the start.

A file is TOML; `rungs` names its rows: "host-sock", "host-mmsg:echo", "guest-*" (every rung that
matches and has no entry of its own) or { rung = "host-py", services = ["kv"], rounds = 1 }. [sweep]
measures every row at several points of one axis (sweep.py). [[image]] adds an image, whose name is
then a rung of this spec (foreign_images.py); [guest] names the kernel of Linux guests; [machine]
has the settings that the run makes and restores (machine/tune/wanted.py), and the accelerator.
Omitted keys have the defaults below. `Spec` is the resolved form, in the run's folder.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine.tune.wanted import Offloads, Wanted
from nearmetal.machine.vm import bzimage
from nearmetal.samples import Frozen, Point
from nearmetal.spec import foreign_images
from nearmetal.spec.foreign_images import ImageFile
from nearmetal.spec.rungs import RUNGS, Rung, Service, find
from nearmetal.spec.services import ServiceRow, adopt
from nearmetal.spec.sweep import Sweep, SweepFile
from nearmetal.spec.window import Window, everywhere
from nearmetal.spec.workload import Workload, needed_bytes
from nearmetal.topology.known import EditionName

__all__ = [
    "RUNGS",
    "Rung",
    "Service",
    "Spec",
    "SpecRung",
    "Workload",
    "at",
    "load",
    "memory_bytes",
    "needed_bytes",
    "points",
    "with_rounds",
]

# In an open loop only a full ring may hold a request back. Rings have 1,024 entries; a server that
# takes a burst before it has sent the previous one needs some free entries.
_OPEN_WINDOW = 768
_MEMORY_FLOOR_BYTES = 8 << 20  # below this memcached cannot give every slab class a page


class MachineTable(Wanted):
    """Table [machine]: the settings to make, and the accelerator of virtual machines."""

    accelerator: Literal["kvm", "tcg"] | None = (
        None  # None: the faster one (machine/vm/accelerator.py)
    )


class GuestFile(Frozen):
    """Table [guest]: properties of Linux guests."""

    kernel: str | None = None  # path of a bzImage; None: the distribution's (build/guest_kernel.py)


class SpecRung(Frozen):
    """One rung of a spec, with its services and number of rounds."""

    rung: Rung
    services: tuple[Service, ...]
    rounds: int = Field(ge=1)


class Spec(Frozen):
    """The resolved experiment (spec.json in the run's folder)."""

    name: str
    workload: Workload
    window: Window = Field(default_factory=Window)
    rounds: int = Field(3, ge=1)
    warmup_s: float = Field(1.0, ge=0)
    measured_s: float = Field(3.0, gt=0)
    memory_bytes: int | None = None  # of every server; None: twice what the key space needs
    seed: int = 1
    sweep: Sweep | None = None
    sleeps: bool = False  # servers that poll a ring sleep when idle, as under `serve`
    generator: EditionName | None = None  # edition to try first; None: the order of the wire's file
    machine: MachineTable = MachineTable()  # set for the run, and restored after it
    own: ServiceRow | None = None  # the user's service that rows serve
    rungs: tuple[SpecRung, ...]

    @model_validator(mode="before")
    @classmethod
    def _adopted(cls, data: Any) -> Any:
        """Make a user's service known before the rows that name it are read."""
        if isinstance(data, dict) and data.get("own") is not None:
            adopt(ServiceRow.model_validate(data["own"]))
        return data


class _Row(Frozen):
    """A row in the form that a spec file has it."""

    rung: str
    services: tuple[Service, ...] | None = Field(None, min_length=1)
    rounds: int | None = Field(None, ge=1)


class _File(Frozen):
    """A spec file before its rungs are resolved."""

    name: str | None = None
    workload: Workload = Workload()
    window: Window = Field(default_factory=Window)
    rounds: int = Field(3, ge=1)
    warmup_s: float = Field(1.0, ge=0)
    measured_s: float = Field(3.0, gt=0)
    memory_bytes: int | None = Field(None, ge=1 << 20)
    seed: int = Field(1, ge=0)
    sweep: SweepFile | None = None
    sleeps: bool = False
    generator: EditionName | None = None
    machine: MachineTable = MachineTable()
    guest: GuestFile = GuestFile()
    image: tuple[ImageFile, ...] = ()
    rungs: tuple[_Row | str, ...] = Field(min_length=1)


def load(path: Path, only: str | None = None) -> Spec:
    """Return a file's spec, checked and resolved; only (--rungs) replaces its rows."""
    data = _read(path)
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        raise BadInputError(f"{path}: {_first(error)}") from None
    try:
        images = foreign_images.rungs(file.image, path.parent) | _guests(file.guest, path.parent)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None
    try:
        rows = _rows(file, images)
    except BadInputError as error:
        raise BadInputError(f"{path}: rungs: {error}") from None
    if only is not None:
        rows = _select(only, rows, file.rounds, images)
    fields = {
        name: getattr(file, name) for name in Spec.model_fields if name not in ("rungs", "own")
    }
    fields |= {"sweep": file.sweep.resolved() if file.sweep else None}
    spec = Spec(**{**fields, "name": file.name or path.stem, "rungs": rows})
    for point in points(spec):
        _check_memory(path, at(spec, point))
    return spec


def with_rounds(spec: Spec, rounds: int | None) -> Spec:
    """Apply --rounds to every row, except rows that have their own number in the spec."""
    if rounds is None:
        return spec
    rows = (
        row.model_copy(update={"rounds": rounds}) if row.rounds == spec.rounds else row
        for row in spec.rungs
    )
    return spec.model_copy(update={"rounds": rounds, "rungs": tuple(rows)})


def points(spec: Spec) -> tuple[Point, ...]:
    """Return the points at which every row is measured; one empty point without a sweep."""
    return spec.sweep.points if spec.sweep else (Point(),)


def at(spec: Spec, point: Point) -> Spec:
    """Return the experiment at one point of its sweep."""
    changed: dict[str, Any] = {}
    if point.keys is not None:
        changed["workload"] = spec.workload.model_copy(update={"keys": point.keys})
    if point.window is not None:
        changed["window"] = everywhere(point.window)
    if point.peak_share is not None or point.rate_per_s is not None:
        changed["window"] = everywhere(_OPEN_WINDOW)
    return spec.model_copy(update=changed)


def memory_bytes(spec: Spec, rung: str) -> int:
    """Return the memory for a rung's server: the spec's, or twice what the key space needs."""
    if spec.memory_bytes is not None:
        return spec.memory_bytes
    return max(_MEMORY_FLOOR_BYTES, 2 * needed_bytes(spec.workload, rung))


def _check_memory(path: Path, spec: Spec) -> None:
    if spec.memory_bytes is None:
        return
    needed = max(needed_bytes(spec.workload, row.rung.name) for row in spec.rungs)
    if spec.memory_bytes < needed:
        raise BadInputError(
            f"{path}: memory_bytes: too small: the key space needs {needed} (got"
            f" {spec.memory_bytes}); raise it, or omit it to get twice what is needed"
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"{path}: cannot read the spec: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{path}: not TOML: {error}") from None


def _guests(file: GuestFile, folder: Path) -> dict[str, Rung]:
    """Return the guest rungs by name, with the file's kernel; empty if the file names none."""
    if file.kernel is None:
        return {}
    path = (folder / file.kernel).resolve()
    try:
        bzimage.read(path)
    except NearmetalError as error:
        raise BadInputError(f"guest.kernel: {error}") from None
    guests = (rung for rung in RUNGS if rung.place == "guest")
    return {rung.name: rung.model_copy(update={"kernel": str(path)}) for rung in guests}


def _rows(file: _File, images: Mapping[str, Rung]) -> tuple[SpecRung, ...]:
    rows: list[SpecRung] = []
    given = {_name(entry if isinstance(entry, str) else entry.rung) for entry in file.rungs}
    for entry in file.rungs:
        if isinstance(entry, str):
            texts = _expanded(entry, given)
            rows.extend(_resolve(text, file.rounds, images) for text in texts)
            continue
        row = _resolve(entry.rung, entry.rounds or file.rounds, images)
        for service in entry.services or ():
            _check_service(row.rung, service)
        rows.append(row.model_copy(update={"services": entry.services or row.services}))
    names = [row.rung.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"{name} is named twice; give one row both services")
    return tuple(rows)


def _name(text: str) -> str:
    return text.partition(":")[0].strip()


def _expanded(text: str, given: Collection[str]) -> list[str]:
    """Expand `guest-*` or `guest-*:kv` to every rung that matches, except the given ones."""
    name, service = _name(text), text.strip().partition(":")[2]
    if "*" not in name:
        return [text]
    found = [rung for rung in RUNGS if fnmatchcase(rung.name, name)]
    if not found:
        raise BadInputError(f"no rung matches {name} (`./nearmetal list` shows all)")
    if not service:
        return [rung.name for rung in found if rung.name not in given]
    rows = [rung.name for rung in found if service in rung.services and rung.name not in given]
    if not rows:
        raise BadInputError(f"no rung that matches {name} has a service {service!r}")
    return [f"{row}:{service}" for row in rows]


def _resolve(text: str, rounds: int, images: Mapping[str, Rung]) -> SpecRung:
    """Return the row for `rung` or `rung:service`. Raises BadInputError."""
    name, colon, service = text.strip().partition(":")
    rung = images.get(name) or find(name)
    if not colon:
        return SpecRung(rung=rung, services=rung.services, rounds=rounds)
    _check_service(rung, service)
    return SpecRung.model_validate({"rung": rung, "services": (service,), "rounds": rounds})


def _check_service(rung: Rung, service: str) -> None:
    if service not in rung.services:
        raise BadInputError(
            f"{rung.name} has no service {service!r} (it has: {', '.join(rung.services)})"
        )


def _select(
    only: str, rows: tuple[SpecRung, ...], rounds: int, images: Mapping[str, Rung]
) -> tuple[SpecRung, ...]:
    """Return the rows of --rungs: the spec's keep services and rounds, others use defaults."""
    chosen: dict[str, SpecRung] = {}
    try:
        parts = [part.strip() for part in only.split(",") if part.strip()]
        for text in (each for part in parts for each in _expanded(part, ())):
            row = _resolve(text, rounds, images)
            known = next((old for old in rows if old.rung.name == row.rung.name), None)
            if known is not None:
                services = row.services if ":" in text else known.services
                row = known.model_copy(update={"services": services})
            before = chosen.get(row.rung.name)
            if before is not None:
                services = tuple(dict.fromkeys(before.services + row.services))
                row = row.model_copy(update={"services": services})
            chosen[row.rung.name] = row
    except BadInputError as error:
        raise BadInputError(f"--rungs: {error}") from None
    if not chosen:
        raise BadInputError("--rungs: names no rung; try --rungs host-sock,host-mmsg:echo")
    return tuple(chosen.values())


def _first(error: ValidationError) -> str:
    """Return pydantic's first error as `key: what (got value)`."""
    problems = [p for p in error.errors() if "str" not in p["loc"]] or error.errors()
    problem = problems[0]
    parts = [part for part in problem["loc"] if part not in ("_Row", "[key]")]
    key = ".".join(str(part) for part in parts) or "workload"
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{key}: unknown key{_nearest(parts)}"
    if kind == "missing":
        rows = '; name the rows, e.g. rungs = ["host-sock"]' if key == "rungs" else ""
        return f"{key}: missing{rows}"
    if kind == "value_error":
        return f"{key}: {context['error']}"
    words = problem["msg"].removeprefix("Input ").replace("should", "must")
    for long, short in (("greater than or equal to", ">="), ("less than or equal to", "<=")):
        words = words.replace(long, short)
    return f"{key}: {words} (got {_shown(problem['input'])})"


def _nearest(parts: list[Any]) -> str:
    """Return a hint: the known key nearest to an unknown one, or all known keys."""
    tables: dict[str, type[BaseModel]] = {
        "workload": Workload,
        "sweep": SweepFile,
        "machine": MachineTable,
        "offloads": Offloads,
        "guest": GuestFile,
        "image": ImageFile,
    }
    names = [part for part in parts[:-1] if isinstance(part, str)]  # without list indexes
    owner = tables.get(names[-1], _Row) if names else _File
    known = list(owner.model_fields)
    near = difflib.get_close_matches(str(parts[-1]), known, 1)
    return f"; did you mean {near[0]}?" if near else f" (known: {', '.join(known)})"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
