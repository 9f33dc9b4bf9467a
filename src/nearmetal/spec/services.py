"""The services as frozen values: the table, the file `services` in this folder, and users' own.

Code that depends on a service checks a property of its row, never its name:
`find(service).stores`. The row of a user's service comes from its file (own_service.py); a spec
that has one makes it known (`adopt`).
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
DROPS_MAX = 16  # native/include/drop.h
TABLE = Path(__file__).with_name("services")


class OwnLoad(Frozen):
    """The requests that the generator sends to a user's service."""

    before: int  # requests that are asked first, once
    requests: int
    request_bytes: tuple[int, int]  # shortest and longest
    reply_bytes: tuple[int, int]
    unchecked_bytes: float  # of a reply, the mean


class OwnService(Frozen):
    """The rest of what a measurement needs to know of a user's service."""

    path: str  # its Python file
    c: str | None = None  # the C file that is compiled in place of it
    arguments: tuple[tuple[str, str], ...] = ()  # for its init
    hashes: dict[str, str]  # SHA-256 of each file that it was made from
    port: int
    state_bytes: int
    checked: bool = True  # with bounds checks in what is compiled from Python
    records: str | None = None  # the file that the generator asks
    load: OwnLoad | None = None  # what is in it

    def options(self) -> list[str]:
        """Return its arguments as the options of a command or of host-py."""
        given = (f"{name}={value}" for name, value in self.arguments)
        return [word for each in given for word in ("--service-arg", each)]


class ServiceRow(Frozen):
    """A service: its files, and the facts that a measurement needs. Columns: see the table."""

    name: ServiceName
    sources: tuple[str, ...]  # in addition to <name>.c
    load: Literal["kv", "echo", "replay"]  # value of the generator's --service
    gauges: tuple[CounterName, ...]  # counters of current values
    counts: tuple[CounterName, ...]  # counters since the start
    drops: tuple[CounterName, ...] = Field(max_length=DROPS_MAX)  # its own reasons to drop one
    corpus: Literal["memcached", "bytes", "cases"]
    twin: str | None  # the service without work of its own, to compare this one with
    python: str | None  # the module that serves it in CPython
    colour: str = Field(pattern=r"^[0-9a-f]{6}$")
    own: OwnService | None = None  # of a user's service

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

    @property
    def asks_before(self) -> bool:
        """Whether the generator sends requests that set up its state before measuring."""
        return self.own is not None and self.own.load is not None and self.own.load.before > 0


def read(path: Path) -> tuple[ServiceRow, ...]:
    """Return every row of a table file, in the file's order."""
    columns = tuple(name for name in ServiceRow.model_fields if name != "own")
    return table.read(path, columns, _row)


def _row(columns: dict[str, str | None]) -> ServiceRow:
    lists = {name: table.listed(columns[name]) for name in _LISTS}
    return ServiceRow.model_validate({**columns, **lists})


_LISTS = ("sources", "gauges", "counts", "drops")
SERVICES = read(TABLE)
NAMES = tuple(row.name for row in SERVICES)
IN_PYTHON = tuple(row.name for row in SERVICES if row.python)
FIRST = NAMES[0]  # the default service
# A user's services that this process has met, by name: `find` knows them too.
_OWN: dict[str, ServiceRow] = {}


def adopt(row: ServiceRow) -> None:
    """Make a user's service known. BadInputError: the table has a service of that name."""
    assert row.own is not None
    if row.name in NAMES:
        raise BadInputError(
            f"{row.own.path}: nearmetal has a service {row.name!r} of its own; give yours another"
            " name"
        )
    _OWN[row.name] = row


def find(name: str) -> ServiceRow:
    """Return the service of that name. Raises BadInputError."""
    for row in (*SERVICES, *_OWN.values()):
        if row.name == name:
            return row
    raise BadInputError(unknown("service", name, (*NAMES, *_OWN)))


def _known(name: str) -> str:
    known = (*NAMES, *_OWN)
    if name not in known:
        raise ValueError(f"must be {' or '.join(map(repr, known))} (got {name!r})")
    return name


Service = Annotated[str, AfterValidator(_known)]
