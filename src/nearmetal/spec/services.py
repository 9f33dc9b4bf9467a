"""The table of services, the file `services` in this folder, as frozen values.

Code that depends on a service checks a property of its row, never its name:
`find(service).stores`.
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
    """A service: its files, and the facts that a measurement needs. Columns: see the table."""

    name: ServiceName
    sources: tuple[str, ...]  # in addition to <name>.c
    load: Literal["kv", "echo"]  # value of the generator's --service
    gauges: tuple[CounterName, ...]  # counters of current values
    counts: tuple[CounterName, ...]  # counters since the start
    drops: tuple[CounterName, ...] = Field(max_length=16)  # its own reasons to drop a request
    corpus: Literal["memcached", "bytes"]
    twin: str | None  # the service without work of its own, to compare this one with
    python: str | None  # the module that serves it in CPython
    colour: str = Field(pattern=r"^[0-9a-f]{6}$")

    @model_validator(mode="after")
    def _few(self) -> ServiceRow:
        if len(self.counters) > COUNTERS_MAX:
            raise ValueError(f"{self.name}: more counters than {COUNTERS_MAX}")
        return self

    @property
    def counters(self) -> tuple[str, ...]:
        """All counters, in the order of the program's output (native/include/service.h)."""
        return self.gauges + self.counts

    @property
    def stores(self) -> bool:
        """Whether it stores keys, which the generator preloads and verifies before measuring."""
        return self.load == "kv"


def read(path: Path) -> tuple[ServiceRow, ...]:
    """Return every row of a table file, in the file's order."""
    return table.read(path, tuple(ServiceRow.model_fields), _row)


def _row(columns: dict[str, str | None]) -> ServiceRow:
    lists = {name: table.listed(columns[name]) for name in _LISTS}
    return ServiceRow.model_validate({**columns, **lists})


_LISTS = ("sources", "gauges", "counts", "drops")
SERVICES = read(TABLE)
NAMES = tuple(row.name for row in SERVICES)
IN_PYTHON = tuple(row.name for row in SERVICES if row.python)
FIRST = NAMES[0]  # the default service


def find(name: str) -> ServiceRow:
    """Return the service of that name. Raises BadInputError."""
    for row in SERVICES:
        if row.name == name:
            return row
    raise BadInputError(unknown("service", name, NAMES))


def _known(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"must be {' or '.join(map(repr, NAMES))} (got {name!r})")
    return name


Service = Annotated[str, AfterValidator(_known)]
