"""The table of services (the file `services` beside this one) as frozen values.

What differs between services is asked of a row, never of a name: `find(service).stores`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from nearmetal.errors import BadInputError, unknown
from nearmetal.samples import Frozen, ServiceName
from nearmetal.spec import table

CounterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,14}$")]
COUNTERS_MAX = 16  # native/include/service.h
TABLE = Path(__file__).with_name("services")


class ServiceRow(Frozen):
    """A service: its files, and what the measuring must know of it."""

    name: ServiceName
    sources: tuple[str, ...]  # beside <name>.c
    load: Literal["kv", "echo"]  # the generator's word
    gauges: tuple[CounterName, ...]  # counters of what is now
    counts: tuple[CounterName, ...]  # counters since the start
    drops: tuple[CounterName, ...] = Field(max_length=8)  # its own reasons to drop a request
    corpus: Literal["memcached", "bytes"]
    twin: str | None  # the service with nothing behind it, to set this one beside
    python: str | None  # the module that serves it in CPython
    colour: str = Field(pattern=r"^[0-9a-f]{6}$")

    @model_validator(mode="after")
    def _few(self) -> ServiceRow:
        if len(self.counters) > COUNTERS_MAX:
            raise ValueError(f"{self.name}: more counters than {COUNTERS_MAX}")
        return self

    @property
    def counters(self) -> tuple[str, ...]:
        """All, in the order of its lines (native/include/service.h)."""
        return self.gauges + self.counts

    @property
    def stores(self) -> bool:
        """Whether it keeps keys, which are stored and read back before it is measured."""
        return self.load == "kv"


def read(path: Path) -> tuple[ServiceRow, ...]:
    """Every row of a table, in its order."""
    return table.read(path, tuple(ServiceRow.model_fields), _row)


def _row(columns: dict[str, str | None]) -> ServiceRow:
    lists = {name: table.listed(columns[name]) for name in _LISTS}
    return ServiceRow.model_validate({**columns, **lists})


_LISTS = ("sources", "gauges", "counts", "drops")
SERVICES = read(TABLE)
NAMES = tuple(row.name for row in SERVICES)
IN_PYTHON = tuple(row.name for row in SERVICES if row.python)
FIRST = NAMES[0]  # what is meant where none is named


def find(name: str) -> ServiceRow:
    """The service of that name."""
    for row in SERVICES:
        if row.name == name:
            return row
    raise BadInputError(unknown("service", name, NAMES))


def _known(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"must be {' or '.join(map(repr, NAMES))} (got {name!r})")
    return name


Service = Annotated[str, AfterValidator(_known)]
