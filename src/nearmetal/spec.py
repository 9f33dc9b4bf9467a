"""Stage 1: a spec file says what to measure. Checked whole before anything starts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nearmetal.samples import Frozen

Service = Literal["kv", "echo"]


class Workload(Frozen):
    """What is asked. `standard` is design 4b's."""

    name: str = "standard"
    keys: int = Field(1_000_000, ge=1)
    key_bytes: int = Field(16, ge=12, le=250)
    value_bytes: int = Field(32, ge=16, le=60_000)
    get: float = Field(0.95, ge=0, le=1)
    set: float = Field(0.05, ge=0, le=1)
    miss: float = Field(0.0, ge=0, le=1)  # GETs of keys that were never stored
    zipf: float | None = Field(0.99, gt=0, lt=2)  # None: uniform
    flows: int = Field(16, ge=1, le=1024)


class Rung(Frozen):
    """A row of the table: place + datapath + knobs. Data, not code."""

    name: str  # host-mmsg; or a reference row: memcached, limit-veth
    place: Literal["host", "reference"]
    datapath: str | None  # None for reference rows
    batch: int | None = None  # knob of mmsg
    wire: Literal["veth", "vhost-user"] = "veth"
    services: tuple[Service, ...] = ("kv", "echo")


class SpecRung(Frozen):
    """One rung of a spec: which services, how many rounds."""

    rung: Rung
    services: tuple[Service, ...]
    rounds: int = Field(ge=1)


class Spec(Frozen):
    """The resolved experiment (spec.json in the run's folder)."""

    name: str
    workload: Workload
    window: int = Field(128, ge=1, le=65_536)
    rounds: int = Field(3, ge=1)
    warmup_s: float = Field(1.0, ge=0)
    measured_s: float = Field(3.0, gt=0)
    memory_bytes: int | None = None  # of every server; None: twice what the key space needs
    seed: int = 1
    rungs: tuple[SpecRung, ...]
