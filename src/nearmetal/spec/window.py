"""The window: the number of requests in flight, the same for every row of a wire.

A spec file has `window = 128` for all wires, or `window = { veth = 128, vhost-user = 256 }`. A wire
without its own window uses that of another wire (topology/wire.py).
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, RootModel, field_validator

from nearmetal.topology.known import find, known

WINDOW_MAX = 65_536


def _defaults() -> dict[str, int]:
    """Return the default windows, by the names of the wires that have their own."""
    return {wire.name: wire.window for wire in known() if isinstance(wire.window, int)}


def _named(name: str) -> str:
    names = list(_defaults())
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {near[0]}?" if near else f" (known: {', '.join(names)})"
    raise ValueError(f"unknown key{hint}")


_Name = Annotated[str, AfterValidator(_named)]
_Requests = Annotated[int, Field(ge=1, le=WINDOW_MAX)]


class Window(RootModel[dict[_Name, _Requests]]):
    """A window per wire; wires that a spec does not name keep their default."""

    model_config = ConfigDict(frozen=True)

    root: dict[_Name, _Requests] = Field(default_factory=_defaults)

    @field_validator("root", mode="before")
    @classmethod
    def _for_all(cls, data: Any) -> Any:
        """Turn one number into the window of every wire."""
        if isinstance(data, bool) or not isinstance(data, int | dict):
            example = ", ".join(f"{name} = {size}" for name, size in _defaults().items())
            raise ValueError(
                f"must be a valid integer, or a table by wire, e.g. {{ {example} }} (got {data!r})"
            )
        if isinstance(data, dict):
            return _defaults() | data
        if not 1 <= data <= WINDOW_MAX:
            bound = ">= 1" if data < 1 else f"<= {WINDOW_MAX}"
            raise ValueError(f"must be {bound} (got {data})")
        return dict.fromkeys(_defaults(), data)

    def of(self, wire: str) -> int:
        """Return the window of a wire, or of the wire whose window it uses."""
        return self.root[find(wire).window_wire.name]


def everywhere(requests: int) -> Window:
    """Return the same window for every wire."""
    return Window.model_validate(requests)
