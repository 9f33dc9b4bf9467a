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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine.tune.wanted import Offloads, Wanted
from nearmetal.machine.vm import bzimage
from nearmetal.samples import Frozen, Point
from nearmetal.spec import foreign_images, own_service, services
from nearmetal.spec.foreign_images import ImageFile
from nearmetal.spec.rows import Entry, Named, SpecRung, check_served, of_file, select
from nearmetal.spec.rungs import RUNGS, Rung, Service
from nearmetal.spec.services import ServiceRow
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
    own: tuple[ServiceRow, ...] = ()  # users' services that rows serve
    rungs: tuple[SpecRung, ...]

    @model_validator(mode="before")
    @classmethod
    def _adopted(cls, data: Any) -> Any:
        """Make users' services known before the rows that name them are read."""
        if isinstance(data, dict):
            for each in data.get("own") or ():
                services.adopt(ServiceRow.model_validate(each))
        return data


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
    service: str | tuple[str, ...] = ()  # files of users' services, from the spec's folder
    service_args: dict[str, str | int] = Field(default_factory=dict)  # for the init of each
    rungs: tuple[Entry | str, ...] = Field(min_length=1)


def load(path: Path, only: str | None = None, own: Sequence[ServiceRow] = ()) -> Spec:
    """Return a file's spec, checked and resolved.

    only (--rungs) replaces its rows. own (--service): users' services, which all its rows serve in
    place of others; rows that `only` names with a service keep it.
    """
    data = _read(path)
    found = tuple(own) or _own(data, path)
    try:
        file = _File.model_validate(data)
    except ValidationError as error:
        raise BadInputError(f"{path}: {_first(error)}") from None
    try:
        images = foreign_images.rungs(file.image, path.parent) | _guests(file.guest, path.parent)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None
    named = Named(file.rounds, images, found)
    try:
        rows = of_file(file.rungs, named, replace=bool(own))
    except BadInputError as error:
        raise BadInputError(f"{path}: rungs: {error}") from None
    if only is not None:
        rows = select(only, rows, named)
    name = file.name or path.stem
    check_served(name, rows, found)
    fields = {each: getattr(file, each) for each in Spec.model_fields if each in _File.model_fields}
    fields |= {"sweep": file.sweep.resolved() if file.sweep else None, "own": found}
    spec = Spec(**{**fields, "name": name, "rungs": rows})
    for point in points(spec):
        _check_memory(path, at(spec, point))
    return spec


def _own(data: dict[str, Any], path: Path) -> tuple[ServiceRow, ...]:
    """Return the users' services of a spec file: they are known before its rows are read."""
    files, given = data.get("service", ()), data.get("service_args", {})
    files = [files] if isinstance(files, str) else files
    is_list = isinstance(files, list | tuple) and all(isinstance(each, str) for each in files)
    if not is_list or not isinstance(given, dict):
        return ()  # the file's model says what is wrong
    try:
        arguments = {name: str(value) for name, value in given.items()}
        return own_service.read([path.parent / each for each in files], arguments)
    except BadInputError as error:
        raise BadInputError(f"{path}: service: {error}") from None


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
    """Return the memory for a rung's server: the spec's, or twice what its services need."""
    if spec.memory_bytes is not None:
        return spec.memory_bytes
    sizes = [_MEMORY_FLOOR_BYTES, *map(own_service.memory_bytes, spec.own)]
    return max(*sizes, 2 * needed_bytes(spec.workload, rung) if _stores(spec) else 0)


def _stores(spec: Spec) -> bool:
    """Whether a row stores the workload's keys. Without a user's service, each has the memory."""
    served = {service for row in spec.rungs for service in row.services}
    return not spec.own or any(services.find(name).stores for name in served)


def _check_memory(path: Path, spec: Spec) -> None:
    if spec.memory_bytes is None or not _stores(spec):
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


_LIST = "tuple[str, ...]"  # a name of pydantic, of one form of a value


def _first(error: ValidationError) -> str:
    """Return pydantic's first error as `key: what (got value)`."""
    problems = [p for p in error.errors() if "str" not in p["loc"]] or error.errors()
    problem = problems[0]
    parts = [part for part in problem["loc"] if part not in ("Entry", "[key]", _LIST)]
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
    owner = tables.get(names[-1], Entry) if names else _File
    known = list(owner.model_fields)
    near = difflib.get_close_matches(str(parts[-1]), known, 1)
    return f"; did you mean {near[0]}?" if near else f" (known: {', '.join(known)})"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
