"""The machine file: TOML, beside the spec of the experiment. It is checked whole before use.

    [sut]                          # the machine under test
    host = "server.example.org"    # SSH's name for it, as root
    nic = "eth1"                   # the data NIC: an interface, or a PCI address
    address = "10.10.0.1/24"       # given to the NIC for the run
    take = "af_packet"             # how frame rungs and the switch use it; or af_xdp, dpdk
    rings = "max"                  # entries of its rings; or a number

    [[tg]]                         # a generator; several if one does not saturate the server
    host = "client.example.org"
    nic = "eth1"
    address = "10.10.0.2/24"

Without [provider] the machines exist already. With [provider], EnOSlib acquires them: `name` is the
kind of provider, and the rest is EnOSlib's own configuration, whose roles must have our names: sut,
and tg1, tg2 and so on (or tg for all generators). Then [sut] and [[tg]] have no host.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from nearmetal.errors import BadInputError
from nearmetal.machine.devices import pci
from nearmetal.machine.links.nic import Take
from nearmetal.samples import Frozen
from nearmetal.spec.sweep import GENERATORS_MAX

ProviderName = Literal["static", "grid5000", "chameleon", "vagrant"]

_INTERFACE_BYTES_MAX = 15  # linux/if.h: IFNAMSIZ is 16, with the final zero byte


class Provider(Frozen):
    """The provider of the machines; all fields but `name` are EnOSlib's configuration."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: ProviderName


class Seat(Frozen):
    """One machine of the experiment."""

    host: str | None = None
    user: str = "root"
    port: int | None = Field(None, ge=1, le=65_535)
    key: str | None = None  # file of a private key; None: ssh chooses
    options: tuple[str, ...] = ()  # for ssh -o, e.g. "ProxyJump=gate.example.org"
    nic: str
    address: str
    take: Take | None = None  # server only; None: af_packet
    rings: int | Literal["max"] = "max"

    @field_validator("nic")
    @classmethod
    def _nic(cls, name: str) -> str:
        if pci.ADDRESS.fullmatch(name):
            return name.lower()
        if not 0 < len(name) <= _INTERFACE_BYTES_MAX or re.search(r"[/:\s]", name):
            raise ValueError(
                f"give an interface, as eth1, or a PCI address, as 0000:3b:00.1, not {name!r}"
            )
        return name

    @field_validator("rings", mode="before")
    @classmethod
    def _rings(cls, entries: object) -> object:
        if entries != "max" and not (isinstance(entries, int) and entries > 0):
            raise ValueError(f'give a number of entries, or "max", not {entries!r}')
        return entries

    @field_validator("address")
    @classmethod
    def _address(cls, text: str) -> str:
        if "/" not in text:
            raise ValueError(f"give the prefix too, e.g. 10.10.0.1/24 (got {text!r})")
        ipaddress.IPv4Interface(text)
        return text

    @property
    def addr(self) -> str:
        return str(ipaddress.IPv4Interface(self.address).ip)

    @property
    def subnet(self) -> str:
        return str(ipaddress.IPv4Interface(self.address).network)


class BedSpec(Frozen):
    """The machines of an experiment."""

    provider: Provider = Provider(name="static")
    sut: Seat
    tg: tuple[Seat, ...] = Field(min_length=1, max_length=GENERATORS_MAX)

    @model_validator(mode="after")
    def _whole(self) -> BedSpec:
        static = self.provider.name == "static"
        for name, seat in self.seats().items():
            if static and seat.host is None:
                raise ValueError(f"{name}.host: missing: give the name or address for SSH")
            if not static and seat.host is not None:
                raise ValueError(
                    f"{name}.host: {self.provider.name} chooses the machine; remove this key"
                )
            if name != "sut" and seat.take is not None:
                raise ValueError(f"{name}.take: a generator uses the kernel; remove this key")
            if seat.subnet != self.sut.subnet:
                raise ValueError(
                    f"{name}.address: {seat.address} is in another network than the server's,"
                    f" {self.sut.address}"
                )
        addresses = [seat.addr for seat in self.seats().values()]
        for addr in addresses:
            if addresses.count(addr) > 1:
                raise ValueError(f"address: {addr} is given to two machines")
        return self

    def seats(self) -> dict[str, Seat]:
        """Return the machines by name: sut, tg1, tg2, ..."""
        return {"sut": self.sut} | {f"tg{i}": seat for i, seat in enumerate(self.tg, 1)}

    def config(self) -> dict[str, Any]:
        """Return EnOSlib's configuration for the provider."""
        if self.provider.name != "static":
            return dict(self.provider.model_extra or {})
        machines = [_static(name, seat) for name, seat in self.seats().items()]
        return {"resources": {"machines": machines, "networks": []}}


def load(path: Path) -> BedSpec:
    """Read and check a machine file. BadInputError: it cannot be read, or is wrong."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{path}: not UTF-8 text") from None


def parse(text: str, name: str) -> BedSpec:
    """Parse and check the TOML text of the machine file `name`. BadInputError: it is wrong."""
    try:
        return BedSpec.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"{name}: not TOML: {error}") from None
    except ValidationError as error:
        raise BadInputError(f"{name}: {_first(error)}") from None


def _static(name: str, seat: Seat) -> dict[str, Any]:
    machine: dict[str, Any] = {
        "address": seat.host,
        "alias": name,
        "roles": [name],
        "user": seat.user,
        "extra": {"ansible_ssh_common_args": " ".join(f"-o {each}" for each in seat.options)},
    }
    machine |= {"port": seat.port} if seat.port is not None else {}
    return machine | ({"keyfile": seat.key} if seat.key is not None else {})


def _first(error: ValidationError) -> str:
    """Return Pydantic's first error as `key: what (got value)`."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(Seat.model_fields if len(problem["loc"]) > 1 else BedSpec.model_fields)
        return f"{key}: unknown key (known: {known})"
    if problem["type"] == "missing":
        return f"{key}: missing"
    if problem["type"] == "value_error":
        words = str(problem["ctx"]["error"])
        return f"{key}: {words}" if key else words
    return f"{key}: {problem['msg'].removeprefix('Input ')} (got {problem['input']!r})"
