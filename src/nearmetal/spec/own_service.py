"""The row of a user's service, and a spec whose rows serve it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nearmetal.errors import BadInputError
from nearmetal.service.expected import Expected
from nearmetal.service.load import Loaded, load
from nearmetal.spec import services
from nearmetal.spec.experiment import Spec, SpecRung
from nearmetal.spec.services import OwnService, ServiceRow

COLOUR = "cc79a7"  # of its marks; the table's services have others
MEMORY_BYTES_MIN = 64 << 20


def row(loaded: Loaded) -> ServiceRow:
    """Return the row of a service's file, and make it known.

    BadInputError: the table has a service of that name.
    """
    service = loaded.service
    made = ServiceRow(
        name=service.name,
        sources=(),
        load="replay",
        gauges=service.gauges,
        counts=service.counters,
        drops=service.drop_words,
        corpus="cases",
        twin=_twin(),
        python=services.find(services.IN_PYTHON[0]).python,
        colour=COLOUR,
        own=OwnService(
            path=str(loaded.finder.file),
            arguments=tuple(loaded.arguments.items()),
            hashes=dict(loaded.hashes),
            port=service.port,
            state_bytes=len(loaded.block),
        ),
    )
    services.adopt(made)
    return made


def asking(made: ServiceRow, asked: Expected, records: Path) -> ServiceRow:
    """Write the file that the generator asks; return the row that names it."""
    assert made.own is not None
    asked.write(records)
    found = {"records": str(records.resolve()), "unchecked_bytes": asked.unchecked_bytes}
    whole = made.model_copy(update={"own": made.own.model_copy(update=found)})
    services.adopt(whole)
    return whole


def serving(spec: Spec, made: ServiceRow) -> Spec:
    """Return the spec with this service in place of every row's own.

    Null responders stay: they show how fast the wire and the generator are. Other programs that are
    not ours cannot serve it, and have no row. BadInputError: no row is left.
    """
    assert made.own is not None
    rungs = tuple(_rungs(spec.rungs, made.name))
    if not any(made.name in each.services for each in rungs):
        raise BadInputError(f"--service {made.own.path}: no row of {spec.name} can serve it")
    memory_bytes = max(MEMORY_BYTES_MIN, 2 * made.own.state_bytes)
    found = {"rungs": rungs, "own": made, "memory_bytes": memory_bytes}
    return spec.model_copy(update=found)


def corpus(made: ServiceRow) -> str | Loaded:
    """Return what a server of this row is asked before it is measured (kv/corpus).

    BadInputError: the file of a user's service is not the one any more that the run began with.
    """
    if made.own is None:
        return made.corpus
    loaded = load(Path(made.own.path), dict(made.own.arguments))
    if dict(loaded.hashes) != made.own.hashes:
        raise BadInputError(f"{made.own.path}: it has changed since the run began; start it again")
    return loaded


def _rungs(rows: Iterable[SpecRung], name: str) -> Iterable[SpecRung]:
    for each in rows:
        if each.rung.uses is not None and each.rung.place != "image":
            rung = each.rung.model_copy(update={"services": (*each.rung.services, name)})
            yield each.model_copy(update={"rung": rung, "services": (name,)})
        elif _twin() in each.services and each.rung.place == "reference":
            yield each.model_copy(update={"services": (_twin(),)})


def _twin() -> str | None:
    """Return the service that shows the cost of I/O alone: that of the first service."""
    return services.find(services.FIRST).twin
