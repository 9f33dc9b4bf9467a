"""The window: how many requests are in flight, the same for every row of a wire.

A spec file says `window = 128`, for all wires, or `window = { veth = 128, vhost-user = 256 }`.
"""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, model_validator

from nearmetal.samples import Frozen

WINDOW_MAX = 65_536


class Window(Frozen):
    """One for each wire; the defaults are those of the workload `standard` (design 4b)."""

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    veth: int = Field(128, ge=1, le=WINDOW_MAX)
    vhost_user: int = Field(256, ge=1, le=WINDOW_MAX, alias="vhost-user")

    @model_validator(mode="before")
    @classmethod
    def _for_all(cls, data: Any) -> Any:
        """One number is the window of every wire."""
        if isinstance(data, bool) or not isinstance(data, int | dict | Window):
            raise ValueError(
                "must be a valid integer, or one for each wire, as"
                f" {{ veth = 128, vhost-user = 256 }} (got {data!r})"
            )
        if not isinstance(data, int):
            return data
        if not 1 <= data <= WINDOW_MAX:
            bound = ">= 1" if data < 1 else f"<= {WINDOW_MAX}"
            raise ValueError(f"must be {bound} (got {data})")
        return {"veth": data, "vhost-user": data}

    def of(self, wire: str) -> int:
        """The wire's; lo stands in for veth."""
        return self.vhost_user if wire == "vhost-user" else self.veth


def everywhere(requests: int) -> Window:
    """The same window on every wire."""
    return Window.model_validate(requests)
