"""Requested settings: the table [machine] of a spec, or the words of `tune apply`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from nearmetal.errors import BadInputError
from nearmetal.samples import Frozen


class Offloads(Frozen):
    """Offloads of the interface."""

    rx_checksum: bool | None = None
    tx_checksum: bool | None = None
    sg: bool | None = None
    tso: bool | None = None
    gso: bool | None = None
    gro: bool | None = None
    lro: bool | None = None


class Wanted(Frozen):
    """Requested settings of a machine; a setting that is None is not changed."""

    governor: str | None = Field(None, pattern="^[a-z_]+$")
    turbo: bool | None = None
    smt: bool | None = None
    nmi_watchdog: bool | None = None
    irq: Literal["away"] | None = None  # away: off the measured cores
    hugepages_2mib: int | None = Field(None, ge=1, le=1 << 20)  # pages to add to the pool
    hugepages_1gib: int | None = Field(None, ge=1, le=1 << 12)
    interface: str | None = Field(None, pattern=r"^[^/\s]{1,15}$")  # for rps and offloads
    rps: Literal["off", "away"] | None = None  # receive processing; away: as irq
    offloads: Offloads | None = None

    @model_validator(mode="after")
    def _whose(self) -> Wanted:
        if self.interface is None and (self.rps or self.offloads):
            raise ValueError('rps and offloads need an interface: name it, interface = "eth1"')
        return self


# The settings of `apply` without words. The paper's hosts had this governor and no SMT; the other
# settings also make results vary less.
STEADY = Wanted(governor="performance", turbo=False, smt=False, nmi_watchdog=False, irq="away")


def from_words(words: Iterable[str]) -> Wanted:
    """Parse `governor=performance turbo=off offloads.gro=off`; without words, return STEADY."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not value:
            raise BadInputError(f"{word}: KEY=VALUE, e.g. turbo=off (keys: {', '.join(_keys())})")
        table, dot, name = key.partition(".")
        if dot:
            inner = found.setdefault(table, {})
            if not isinstance(inner, dict):
                raise BadInputError(f"{word}: {table} has a single value already")
            inner[name] = value
        else:
            found[key] = value
    if not found:
        return STEADY
    try:
        return Wanted.model_validate(found)
    except ValidationError as error:
        raise BadInputError(_first(error)) from None


def _keys() -> list[str]:
    plain = [name for name in Wanted.model_fields if name != "offloads"]
    return [*plain, *(f"offloads.{name}" for name in Offloads.model_fields)]


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key (known: {', '.join(_keys())})"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    words = problem["msg"].removeprefix("Input ").replace("should", "must")
    return f"{key}: {words} (got {problem['input']!r})"
