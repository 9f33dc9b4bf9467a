"""Users' services on other machines: their files in the parcel, and the rows that name them there.

A parcel has for each service a folder with the files that it was made from, laid out as they are
here, and the file that generators ask. Their content is hashed with the parcel's, so that another
version of a service is in another folder, and each machine compares a service's files with the
hashes of its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from nearmetal.service.load import Loaded
from nearmetal.spec import own_service
from nearmetal.spec.services import OwnService, ServiceRow

_FOLDER = "services"


@dataclass(frozen=True)
class Carried:
    """A user's service in a parcel."""

    here: ServiceRow
    packed: ServiceRow  # its paths begin at the parcel's folder
    files: Mapping[str, Path]  # path in the parcel -> file here

    def at(self, folder: str) -> ServiceRow:
        """Return the row as it is on a machine that has the parcel in this folder."""
        own = _own(self.packed)
        paths = {"path": own.path, "c": own.c, "records": own.records}
        there = {name: path and f"{folder}/{path}" for name, path in paths.items()}
        return _changed(self.packed, there)


def carried(row: ServiceRow) -> Carried:
    """Return a service whose records are written, for a parcel.

    BadInputError: its file is not the one any more that the row was made from.
    """
    own, loaded = _own(row), own_service.loaded(row)
    folder, top = f"{_FOLDER}/{row.name}", loaded.finder.folder
    files = {str(file.relative_to(top)): file for file in loaded.finder.hashes}
    moved = dict(_moved(loaded))
    files |= {moved.get(each, str(PurePath(each))): top / each for each in loaded.read.values()}
    there: dict[str, Any] = {"path": f"{folder}/{loaded.finder.file.name}"}
    if own.c is not None:
        c = Path(own.c)
        files |= {each.name: each for each in (c, *c.parent.glob("*.h"))}
        there["c"] = f"{folder}/{c.name}"
    packed = {f"{folder}/{name}": file for name, file in files.items()}
    if own.records is not None:
        there["records"] = f"{_FOLDER}/{row.name}.records"
        packed[there["records"]] = Path(own.records)
    named = {name: moved[given] for name, given in loaded.read.items() if given in moved}
    there["arguments"] = tuple((dict(own.arguments) | named).items())
    there["hashes"] = {moved.get(name, name): one for name, one in own.hashes.items()}
    return Carried(row, _changed(row, there), packed)


def options(row: ServiceRow) -> list[str]:
    """Return the options of a command that name a service."""
    own = _own(row)
    words = ["--service", own.c or own.path, *([] if own.checked else ["--unchecked"])]
    return [*words, *own.options()]


def _moved(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Yield for each file outside of the service's folder that init read: its name here, there."""
    outside = (each for each in loaded.read.values() if _is_outside(PurePath(each)))
    for number, given in enumerate(dict.fromkeys(outside)):
        yield given, f"outside-{number}/{PurePath(given).name}"


def _is_outside(path: PurePath) -> bool:
    return path.is_absolute() or ".." in path.parts


def _own(row: ServiceRow) -> OwnService:
    assert row.own is not None
    return row.own


def _changed(row: ServiceRow, fields: dict[str, Any]) -> ServiceRow:
    return row.model_copy(update={"own": _own(row).model_copy(update=fields)})
