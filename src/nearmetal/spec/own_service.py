"""Rows of users' services: a Python file, or a C file beside the Python file that it follows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from nearmetal.errors import BadInputError
from nearmetal.service.expected import expected
from nearmetal.service.load import Loaded, load
from nearmetal.spec import services
from nearmetal.spec.services import OwnLoad, OwnService, ServiceRow

COLOURS = ("cc79a7", "d55e00", "009e73", "e69f00")  # of their marks; the table's have others
MEMORY_BYTES_MIN = 64 << 20


def read(
    files: Iterable[Path], arguments: Mapping[str, str], *, checked: bool = True
) -> tuple[ServiceRow, ...]:
    """Return the row of each file, and make it known.

    arguments: for the init of each. checked: with bounds checks in what is compiled from Python.
    BadInputError: one line of what is wrong in a file, or a name is taken.
    """
    made: list[ServiceRow] = []
    for path in files:
        row = _row(path, arguments, len(made), checked=checked)
        if any(row.name == each.name for each in made):
            raise BadInputError(f"{path}: two services are named {row.name!r}; rename one")
        services.adopt(row)
        made.append(row)
    return tuple(made)


def _row(path: Path, arguments: Mapping[str, str], number: int, *, checked: bool) -> ServiceRow:
    c = path if path.suffix == ".c" else None
    if c is not None:
        _check_is_file(c)
    loaded = load(_python_of(path), arguments)
    service = loaded.service
    return ServiceRow(
        name=service.name if c is None else f"{service.name}c",
        sources=(),
        load="replay",
        gauges=service.gauges,
        counts=service.counters,
        drops=service.drop_words if c is None else service.drops,
        corpus="cases",
        twin=services.find(services.FIRST).twin,
        python=services.find(services.IN_PYTHON[0]).python if c is None else None,
        colour=COLOURS[number % len(COLOURS)],
        own=OwnService(
            path=str(loaded.finder.file),
            c=None if c is None else str(c.resolve()),
            arguments=tuple(loaded.arguments.items()),
            hashes=_hashes(loaded, c),
            port=service.port,
            state_bytes=len(loaded.block),
            checked=checked,
        ),
    )


def _python_of(path: Path) -> Path:
    """Return the Python file of a service: of one in C, the file that says what is right."""
    if path.suffix != ".c":
        return path
    beside = path.with_suffix(".py")
    if beside.is_file():
        return beside
    raise BadInputError(
        f"{path}: a service in C needs {beside.name} beside it, which declares its Service and says"
        " by its answer and requests what is right"
    )


def _check_is_file(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}") from None


def _hashes(loaded: Loaded, c: Path | None) -> dict[str, str]:
    more = {} if c is None else {c.name: hashlib.sha256(c.read_bytes()).hexdigest()}
    return {**loaded.hashes, **more}


def memory_bytes(row: ServiceRow) -> int:
    """Return the memory that a server of it is given."""
    assert row.own is not None
    return max(MEMORY_BYTES_MIN, 2 * row.own.state_bytes)


def loaded(row: ServiceRow) -> Loaded:
    """Return the Python file of a row, executed.

    BadInputError: it is not the one any more that the row was made from.
    """
    assert row.own is not None
    found = load(Path(row.own.path), dict(row.own.arguments))
    c = None if row.own.c is None else Path(row.own.c)
    if _hashes(found, c) != row.own.hashes:
        raise BadInputError(f"{row.own.path}: it has changed since the run began; start it again")
    return found


def asking(row: ServiceRow, records: Path) -> ServiceRow:
    """Write the file that the generator asks; return the row that names it, which is known now.

    BadInputError: the service has no load, or its replies cannot be foreseen.
    """
    assert row.own is not None
    asked = expected(loaded(row), trusted=True)
    asked.write(records)
    asks = OwnLoad(
        before=len(asked.before),
        requests=len(asked.mix),
        request_bytes=_ends(len(each.request) for each in asked.mix),
        reply_bytes=_ends(len(each.reply) for each in asked.mix),
        unchecked_bytes=asked.unchecked_bytes,
    )
    found = {"records": str(records.resolve()), "load": asks}
    whole = row.model_copy(update={"own": row.own.model_copy(update=found)})
    services.adopt(whole)
    return whole


def _ends(lengths: Iterable[int]) -> tuple[int, int]:
    found = sorted(lengths)
    return found[0], found[-1]


def corpus(row: ServiceRow) -> str | Loaded:
    """Return what a server of this row is asked before it is measured (kv/corpus)."""
    return row.corpus if row.own is None else loaded(row)
