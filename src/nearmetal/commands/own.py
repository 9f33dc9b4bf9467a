"""The options that name users' services, read: --service, --service-arg, --unchecked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nearmetal.errors import BadInputError
from nearmetal.kv.server_options import service_argument
from nearmetal.spec import own_service
from nearmetal.spec.services import ServiceRow


def arguments(texts: Sequence[str] | None) -> dict[str, str]:
    """Return the values of --service-arg. BadInputError: one has another form, or comes twice."""
    given = [service_argument(text) for text in texts or ()]
    if len({name for name, _ in given}) < len(given):
        raise BadInputError("--service-arg: one name is given twice; give each once")
    return dict(given)


def rows(
    files: Sequence[Path] | None, args: Sequence[str] | None = None, *, unchecked: bool = False
) -> tuple[ServiceRow, ...]:
    """Return the rows of the services that the options name, known now. Raises BadInputError."""
    for option, given in (("--service-arg", args), ("--unchecked", unchecked)):
        if given and not files:
            raise BadInputError(f"{option}: only with --service FILE")
    return own_service.read(files or (), arguments(args), checked=not unchecked)


def is_file(text: str | None) -> bool:
    """Whether the value of an option that also takes names is a service's file."""
    return text is not None and (text.endswith((".py", ".c")) or "/" in text)
