"""The options that name users' services, read: --service, --service-arg, --unchecked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearmetal.errors import BadInputError
from nearmetal.kv.server_options import service_argument
from nearmetal.spec import own_service, services
from nearmetal.spec.rows import Named
from nearmetal.spec.rungs import Rung
from nearmetal.spec.services import ServiceRow

STORE_PORT = 11_211


def arguments(texts: Sequence[str] | None) -> dict[str, str]:
    """Return the values of --service-arg. BadInputError: one has another form, or comes twice."""
    given = [service_argument(text) for text in texts or ()]
    if len({name for name, _ in given}) < len(given):
        raise BadInputError("--service-arg: one name is given twice; give each once")
    return dict(given)


def rows(
    files: Sequence[Path] | None, args: Sequence[str] | None = None, *, unchecked: bool = False
) -> tuple[ServiceRow, ...]:
    """Return the rows of the services that the options name, and make them known.

    Raises BadInputError.
    """
    for option, given in (("--service-arg", args), ("--unchecked", unchecked)):
        if given and not files:
            raise BadInputError(f"{option}: only with --service FILE")
    return own_service.read(files or (), arguments(args), checked=not unchecked)


@dataclass(frozen=True)
class Served:
    """A user's service that a command serves; without one, the store."""

    own: tuple[ServiceRow, ...] = ()  # at most one

    @property
    def service(self) -> str:
        """Its name."""
        return self.own[0].name if self.own else services.FIRST

    @property
    def port(self) -> int:
        """Its usual port."""
        return next((each.own.port for each in self.own if each.own), STORE_PORT)

    @property
    def memory_bytes(self) -> int:
        """Its usual memory: for the store, or for the state of a user's service."""
        return max(map(own_service.memory_bytes, self.own), default=own_service.MEMORY_BYTES_MIN)

    def rung(self, name: str) -> Rung:
        """Return a rung, with the user's service if it can serve it. Raises BadInputError."""
        return Named(1, own=self.own).rung(name)


def is_file(text: str | None) -> bool:
    """Whether the value of an option that also takes names is a service's file."""
    return text is not None and (text.endswith((".py", ".c")) or "/" in text)
