"""Requests of a measurement: key space, lengths, mix, distribution, flows.

All values have one length (`value_bytes`), or keys have classes, each with a length and a share of
the keys: classes = [{ value_bytes = 32, share = 0.9 }, { value_bytes = 1024, share = 0.1 }]. Which
class a key has follows from its number (native/tg/loop/classes.h).
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import Field, model_validator

from nearmetal.samples import Frozen
from nearmetal.spec import services
from nearmetal.spec.rungs import Service

_HEADERS_BYTES = 42  # Ethernet, IPv4, UDP
_CLASSES_MAX = 16  # native/tg/loop/classes.h


class ValueClass(Frozen):
    """A class of keys: the length of their values, and its share of the keys."""

    value_bytes: int = Field(ge=8, le=1400)
    share: float = Field(ge=1e-6, le=1)


class Workload(Frozen):
    """The requests of a measurement."""

    name: str = "standard"
    keys: int = Field(1_000_000, ge=1, le=100_000_000)
    key_bytes: int = Field(16, ge=8, le=250)
    value_bytes: int = Field(32, ge=8, le=60_000)  # with classes: the longest
    classes: tuple[ValueClass, ...] = Field((), max_length=_CLASSES_MAX)
    get: float = Field(0.95, ge=0, le=1)
    set: float = Field(0.05, ge=0, le=1)
    miss: float = Field(0.0, ge=0, le=1)  # GETs of keys that were never stored
    zipf: float | None = Field(0.99, gt=0, lt=2)  # None: uniform; a file has "uniform" for that
    flows: int = Field(16, ge=1, le=1024)
    source_port: int | None = Field(None, ge=1, le=65_535)  # of the first flow; None: any
    port: int = Field(11_211, ge=1, le=65_535)  # of the server; on lo any free port is used
    stamp: bool = False  # echo: end the key of each request with 8 bytes that never repeat

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, data: Any) -> Any:
        """Turn zipf = "uniform" into None: TOML has no null. Set value_bytes where it follows."""
        if not isinstance(data, dict):
            return data
        found = dict(data)
        if found.get("zipf") == "uniform":
            found["zipf"] = None
        longest = _longest(found.get("classes"))
        if longest is not None and found.setdefault("value_bytes", longest) != longest:
            raise ValueError("value_bytes: the classes have the lengths; omit it")
        return found

    @model_validator(mode="after")
    def _whole(self) -> Workload:
        if not math.isclose(self.get + self.set + self.miss, 1.0, abs_tol=1e-9):
            raise ValueError(
                f"get + set + miss must be 1 (got {self.get:g} + {self.set:g} + {self.miss:g})"
            )
        shares = sum(each.share for each in self.classes)
        if self.classes and not math.isclose(shares, 1.0, abs_tol=1e-9):
            raise ValueError(f"classes: their shares must add up to 1 (got {shares:g})")
        names = 10 ** min(self.key_bytes - 2, 8) if self.key_bytes < 12 else 1 << 32
        if self.keys * (2 if self.miss else 1) > names:
            raise ValueError(
                f"key_bytes = {self.key_bytes} names {names:,} keys: too few for keys ="
                f" {self.keys:,}{', and as many to miss' if self.miss else ''}"
            )
        if self.source_port is not None and self.source_port + self.flows - 1 > 65_535:
            raise ValueError(
                f"source_port = {self.source_port}: {self.flows} flows from there on end beyond"
                " 65535"
            )
        return self

    @property
    def lengths(self) -> tuple[ValueClass, ...]:
        """The classes; without them one class of all keys."""
        whole = ValueClass.model_construct(value_bytes=self.value_bytes, share=1.0)
        return self.classes or (whole,)

    def frame_bytes(self, service: Service) -> tuple[int, int]:
        """Return the lengths in bytes of a GET's frame and its longest answer's, without FCS.

        Of a user's service: of its longest request and reply.
        """
        own = services.find(service).own
        if own is not None and own.load is not None:
            longest = own.load.request_bytes[1], own.load.reply_bytes[1]
            return _HEADERS_BYTES + longest[0], _HEADERS_BYTES + longest[1]
        request = _HEADERS_BYTES + 8 + len("get \r\n") + self.key_bytes
        if not services.find(service).stores:
            return request, request
        line = len(f"VALUE  0 {self.value_bytes}\r\n") + self.key_bytes
        return request, _HEADERS_BYTES + 8 + line + self.value_bytes + len("\r\nEND\r\n")


def needed_bytes(workload: Workload, rung: str) -> int:
    """Return the bytes the key space takes (docs/service.md; memcached's doc/storage.txt)."""
    items = sum(
        math.ceil(workload.keys * each.share) * _item_bytes(workload.key_bytes, each, rung)
        for each in workload.lengths
    )
    return items if rung == "memcached" else items * 10 // 9  # a tenth of the memory is the index


def _item_bytes(key_bytes: int, values: ValueClass, rung: str) -> int:
    """Return the bytes of one item with what the store adds to it."""
    whole = key_bytes + values.value_bytes
    if rung == "memcached":  # header with cas, terminators, up to 25 % slab waste
        return (whole + 64) * 5 // 4
    return (whole + 16 + 7) // 8 * 8


def _longest(classes: Any) -> int | None:
    """Return the longest value of the classes of a file; None where they are none, or malformed."""
    if not isinstance(classes, list | tuple):
        return None
    found = [each.get("value_bytes") if isinstance(each, dict) else None for each in classes]
    lengths = [each for each in found if isinstance(each, int)]
    return max(lengths) if lengths and len(lengths) == len(found) else None
