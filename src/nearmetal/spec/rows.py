"""The rows of a spec: rungs, each with its services and its number of rounds.

A user's service (own_service.py) is served by every row for which no service is named. Rows of
other projects' programs cannot serve it and are left out; null responders stay, as they show how
fast the wire and the generator are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from pydantic import Field

from nearmetal.errors import BadInputError
from nearmetal.samples import Frozen
from nearmetal.spec import services
from nearmetal.spec.rungs import RUNGS, Rung, Service, find
from nearmetal.spec.services import ServiceRow


class SpecRung(Frozen):
    """One rung of a spec, with its services and number of rounds."""

    rung: Rung
    services: tuple[Service, ...]
    rounds: int = Field(ge=1)


class Entry(Frozen):
    """A row in the form that a spec file has it."""

    rung: str
    services: tuple[Service, ...] | None = Field(None, min_length=1)
    rounds: int | None = Field(None, ge=1)


@dataclass(frozen=True)
class Named:
    """Names that a spec adds to those of the tables, and the usual number of rounds of a row."""

    rounds: int
    images: Mapping[str, Rung] = field(default_factory=dict)
    own: tuple[ServiceRow, ...] = ()  # services of users

    def rung(self, name: str) -> Rung:
        """Return a rung, with the users' services that it can serve. Raises BadInputError."""
        rung = self.images.get(name) or find(name)
        more = tuple(each.name for each in self.own if _can_serve(rung, each))
        return rung.model_copy(update={"services": rung.services + more}) if more else rung

    def usual(self, rung: Rung) -> tuple[Service, ...]:
        """Return the services of a row that names none; empty: it has no row."""
        if not self.own:
            return rung.services
        served = tuple(each.name for each in self.own if each.name in rung.services)
        if rung.place == "reference" and _TWIN in rung.services:
            return (_TWIN,)
        return served


# The service that shows the cost of I/O alone: what a null responder does.
_TWIN = services.find(services.FIRST).twin or services.FIRST


def of_file(entries: Iterable[Entry | str], named: Named, *, replace: bool) -> tuple[SpecRung, ...]:
    """Return the rows of a spec file. Raises BadInputError.

    replace: rows that name services serve the users' in place of them.
    """
    whole = [Entry(rung=each) if isinstance(each, str) else each for each in entries]
    given = {_name(entry.rung) for entry in whole}
    rows: list[SpecRung] = []
    for entry in whole:
        for text in _expanded(entry.rung, given):
            row = _resolve(_name(text) if replace else text, entry.rounds or named.rounds, named)
            if row is None:
                continue
            for service in () if replace else entry.services or ():
                _check_service(row.rung, service)
            listed = None if replace else entry.services
            rows.append(row.model_copy(update={"services": listed or row.services}))
    names = [row.rung.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"{name} is named twice; give one row both services")
    return tuple(rows)


def select(only: str, rows: tuple[SpecRung, ...], named: Named) -> tuple[SpecRung, ...]:
    """Return the rows of --rungs: the spec's keep services and rounds, others use defaults."""
    chosen: dict[str, SpecRung] = {}
    try:
        parts = [part.strip() for part in only.split(",") if part.strip()]
        for text in (each for part in parts for each in _expanded(part, ())):
            row = _resolve(text, named.rounds, named)
            if row is None:
                continue
            known = next((old for old in rows if old.rung.name == row.rung.name), None)
            if known is not None:
                served = row.services if ":" in text else known.services
                row = known.model_copy(update={"services": served})
            before = chosen.get(row.rung.name)
            if before is not None:
                served = tuple(dict.fromkeys(before.services + row.services))
                row = row.model_copy(update={"services": served})
            chosen[row.rung.name] = row
    except BadInputError as error:
        raise BadInputError(f"--rungs: {error}") from None
    if not chosen and not named.own:
        raise BadInputError("--rungs: names no rung; try --rungs host-sock,host-mmsg:echo")
    return tuple(chosen.values())


def check_served(spec: str, rows: Iterable[SpecRung], own: Iterable[ServiceRow]) -> None:
    """BadInputError: no row serves one of the users' services."""
    served = {service for row in rows for service in row.services}
    for each in own:
        if each.name not in served:
            assert each.own is not None
            raise BadInputError(
                f"service {each.own.path}: no row of {spec} can serve it; name rows of ours, e.g."
                " --rungs host-sock,host-mmsg"
            )


def _can_serve(rung: Rung, own: ServiceRow) -> bool:
    """Whether a rung is made from a datapath of ours, in a language that the service is in."""
    if rung.uses is None or rung.place == "image":
        return False
    return own.python is not None if rung.uses.is_python else True


def _name(text: str) -> str:
    return text.partition(":")[0].strip()


def _expanded(text: str, given: Collection[str]) -> Iterator[str]:
    """Expand `guest-*` or `guest-*:kv` to every rung that matches, except the given ones."""
    name, service = _name(text), text.strip().partition(":")[2]
    if "*" not in name:
        yield text
        return
    found = [rung for rung in RUNGS if fnmatchcase(rung.name, name)]
    if not found:
        raise BadInputError(f"no rung matches {name} (`./nearmetal list` shows all)")
    if not service:
        yield from (rung.name for rung in found if rung.name not in given)
        return
    rows = [rung.name for rung in found if service in rung.services and rung.name not in given]
    if not rows:
        raise BadInputError(f"no rung that matches {name} has a service {service!r}")
    yield from (f"{row}:{service}" for row in rows)


def _resolve(text: str, rounds: int, named: Named) -> SpecRung | None:
    """Return the row for `rung` or `rung:service`; None: it cannot serve the users' services.

    Raises BadInputError.
    """
    name, colon, service = text.strip().partition(":")
    rung = named.rung(name)
    if colon:
        _check_service(rung, service)
        return SpecRung.model_validate({"rung": rung, "services": (service,), "rounds": rounds})
    usual = named.usual(rung)
    return SpecRung(rung=rung, services=usual, rounds=rounds) if usual else None


def _check_service(rung: Rung, service: str) -> None:
    if service not in rung.services:
        raise BadInputError(
            f"{rung.name} has no service {service!r} (it has: {', '.join(rung.services)})"
        )
