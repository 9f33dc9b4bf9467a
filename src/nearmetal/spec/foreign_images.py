"""Images that a spec adds: [[image]] tables, checked before anything starts.

    [[image]]
    name = "my-uk"
    kernel = "my-uk_qemu-x86_64"
    cmdline = "netdev.ip=10.0.0.2/24:10.0.0.1::: --"
    memory = "64MiB"
    address = "10.0.0.2"
    port = 11211

Each becomes a rung of that spec, with the place `image` (dut/image.py). Paths are relative to the
spec's file. The run's spec.json has the SHA-256 hashes of the files.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address
from pathlib import Path

from pydantic import Field, field_validator

from nearmetal.errors import BadInputError
from nearmetal.kv.server_options import memory_bytes
from nearmetal.machine.vm.qemu import MachineType
from nearmetal.samples import Frozen
from nearmetal.spec import services
from nearmetal.spec.rungs import RUNGS, Image, Rung, Service

_RING = 1024  # entries of each virtqueue, as for our own rungs
_PAGE_BYTES = 4096


class ImageFile(Frozen):
    """One [[image]] table of a spec file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)
    kernel: str
    initrd: str | None = None
    cmdline: str = ""
    machine: MachineType = "q35"
    memory: str = "128MiB"
    address: IPv4Address
    port: int = Field(11211, ge=1, le=65_535)
    service: Service = services.FIRST
    legacy: bool = False
    options: tuple[str, ...] = ()

    @field_validator("name")
    @classmethod
    def _new(cls, name: str) -> str:
        if name in (rung.name for rung in RUNGS):
            raise ValueError(f"{name} is a rung already; take another name")
        return name

    @field_validator("memory")
    @classmethod
    def _memory(cls, text: str) -> str:
        try:
            size = memory_bytes(text)
        except BadInputError as error:
            raise ValueError(str(error).partition(": ")[2]) from None
        if size % _PAGE_BYTES:
            raise ValueError(f"must be a multiple of 4 KiB (got {text})")
        return text

    @field_validator("address")
    @classmethod
    def _one_host(cls, address: IPv4Address) -> IPv4Address:
        last = int(address) & 0xFF
        bad = address.is_multicast or address.is_loopback or address.is_reserved
        if bad or address.is_unspecified or last in (0, 255):
            raise ValueError(f"must be the IPv4 address of one host (got {address})")
        return address

    def rung(self, folder: Path) -> Rung:
        """Return the rung of the image. Raises BadInputError for a file that cannot be used."""
        kernel, kernel_hash = _file("kernel", self.kernel, folder)
        initrd, initrd_hash = None, None
        if self.initrd is not None:
            initrd, initrd_hash = _file("initrd", self.initrd, folder)
        return Rung(
            name=self.name,
            place="image",
            datapath=None,
            ring=_RING,
            machine=self.machine,
            image=Image(
                kernel=kernel,
                kernel_sha256=kernel_hash,
                initrd=initrd,
                initrd_sha256=initrd_hash,
                cmdline=self.cmdline,
                memory_bytes=memory_bytes(self.memory),
                address=str(self.address),
                port=self.port,
                legacy=self.legacy,
                options=self.options,
            ),
            wire="vhost-user",
            services=(self.service,),
        )


def rungs(images: tuple[ImageFile, ...], folder: Path) -> dict[str, Rung]:
    """Return the rungs of a spec's images, by name. Raises BadInputError."""
    found: dict[str, Rung] = {}
    for image in images:
        if image.name in found:
            raise BadInputError(f"image {image.name}: two images have this name")
        try:
            found[image.name] = image.rung(folder)
        except BadInputError as error:
            raise BadInputError(f"image {image.name}: {error}") from None
    return found


def _file(key: str, name: str, folder: Path) -> tuple[str, str]:
    """Return a file's absolute path and SHA-256. Raises BadInputError."""
    path = (folder / name).resolve()
    try:
        if not path.is_file():
            raise BadInputError(f"{key}: {path} {'is no file' if path.exists() else 'is missing'}")
        if path.stat().st_size == 0:
            raise BadInputError(f"{key}: {path} is empty")
        with path.open("rb") as file:
            return str(path), hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInputError(f"{key}: {path}: {error.strerror}") from None
