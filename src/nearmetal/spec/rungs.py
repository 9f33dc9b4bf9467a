"""The rungs: rows of data, made from the table of datapaths (`datapaths`) and the places.

A new technique is a C file and a row of that table. This module adds only variants of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from nearmetal.errors import BadInputError, unknown
from nearmetal.machine.vm.qemu import MachineType
from nearmetal.samples import Frozen
from nearmetal.spec import services
from nearmetal.spec.datapaths import Datapath, Place, datapaths
from nearmetal.spec.datapaths import find as find_datapath
from nearmetal.spec.services import Service as Service
from nearmetal.topology import known
from nearmetal.topology.known import WireName

RowPlace = Place | Literal["image", "reference"]

# Descriptions of the places whose name alone is unclear.
PLACES: dict[str, str] = {
    "guest": "Linux in a virtual machine",
    "uk": "unikernel in a virtual machine",
    "ukp": "unikernel as a process",
    "image": "foreign image",
}


class Image(Frozen):
    """An image that a spec adds ([[image]]): the files to boot, and the address that answers."""

    kernel: str
    kernel_sha256: str
    initrd: str | None = None
    initrd_sha256: str | None = None
    cmdline: str = ""
    memory_bytes: int
    address: str
    port: int
    legacy: bool = False  # its drivers only speak legacy virtio (before 1.0)
    options: tuple[str, ...] = ()  # further arguments for QEMU


class Rung(Frozen):
    """A row of the table: place + datapath + knobs. Data, not code."""

    name: str  # host-mmsg; or a reference row: memcached, limit-veth
    place: RowPlace
    datapath: str | None  # None for reference rows
    program: str | None = None  # set for reference rows only
    batch: int | None = None  # most requests or frames per turn: --batch, testpmd's --burst
    segment: bool = False  # knob of mmsg: --segment (UDP_SEGMENT)
    ring: int | None = None  # entries of each virtqueue
    virtio: str | None = None  # device options for DPDK's virtio-user, separated by commas
    hugepages: bool = False  # 2 MiB pages for the store (--hugepages) and for frame buffers
    machine: MachineType | None = None  # QEMU's machine type, for rungs in a virtual machine
    image: Image | None = None  # place image only
    kernel: str | None = None  # place guest: the spec's kernel; None: the distribution's
    absent: str | None = None  # reason why there is no such program: the row is skipped
    wire: WireName = "veth"
    services: tuple[Service, ...] = services.NAMES

    @property
    def uses(self) -> Datapath | None:
        """Row of its datapath; None for a reference row or a foreign image."""
        return None if self.datapath is None else find_datapath(self.datapath)

    @property
    def in_frames(self) -> bool:
        """Whether its program handles Ethernet frames instead of datagrams."""
        return self.uses is not None and self.uses.in_frames

    @property
    def generator(self) -> str:
        """Name of the generator program for its wire."""
        return known.find(self.wire).generator

    def options(self) -> list[str]:
        """Return its knobs as options of its program (docs/programs.md)."""
        batch = [] if self.batch is None else ["--batch", str(self.batch)]
        return [*batch, "--segment"] if self.segment else batch


# The fastest mode of virtio-user in DPDK 22.11: in-order split rings without mergeable buffers
# (docs/rungs.md). Server and testpmd use the same options, so only the program differs.
_VIRTIO = "in_order=1,mrg_rxbuf=0"


def _host(datapath: Datapath) -> Iterator[Rung]:
    rung = Rung(name=f"host-{datapath.name}", place="host", datapath=datapath.name)
    rung = _with(rung, batch=datapath.batch, segment=datapath.segment)
    if datapath.is_python:
        rung = _with(rung, services=services.IN_PYTHON)
    if datapath.nic == "own":
        virtio = _VIRTIO if datapath.library == "libdpdk" else None
        rung = _with(rung, ring=1024, virtio=virtio, hugepages=True, wire="vhost-user")
    yield rung
    if datapath.segment:
        yield _with(rung, name=f"{rung.name}-plain", segment=False)


def _behind_switch(datapath: Datapath) -> Iterator[Rung]:
    """Yield the host's server behind a switch, as guests are. A third poller: not in quick.toml."""
    if datapath.library == "libdpdk":
        rung = next(_host(datapath))
        yield _with(rung, name=f"{rung.name}-pvp", ring=256, hugepages=False, wire="pvp")


def _ukp(datapath: Datapath) -> Iterator[Rung]:
    yield Rung(
        name=f"ukp-{datapath.name}",
        place="ukp",
        datapath=datapath.name,
        batch=datapath.batch,
        ring=1024,
        hugepages=True,
        wire="vhost-user",
    )


def _guest(datapath: Datapath) -> Iterator[Rung]:
    """Yield the guest on a PC machine (q35), because DPDK needs PCI.

    Without --segment: the NIC does not segment, and segmentation in the guest's kernel costs more
    than it saves.
    """
    yield Rung(
        name=f"guest-{datapath.name}",
        place="guest",
        datapath=datapath.name,
        batch=datapath.batch,
        ring=1024,
        machine="q35",
        wire="vhost-user",
    )


def _guest_on_taps(datapath: Datapath) -> Iterator[Rung]:
    """Yield the guest on a tap device, where QEMU or the host's kernel carries the frames.

    QEMU limits the rings of a tap device to 256 entries.
    """
    for rung in _guest(datapath):
        for wire in ("tap", "vhost-net"):
            yield _with(rung, name=f"{rung.name}-{wire}", ring=256, wire=wire)


def _uk(datapath: Datapath) -> Iterator[Rung]:
    """Yield the unikernel in a virtual machine: a microvm starts twice as fast as a PC, no PCI.

    DPDK's driver finds its device on PCI only.
    """
    rung = Rung(
        name=f"uk-{datapath.name}",
        place="uk",
        datapath=datapath.name,
        batch=datapath.batch,
        ring=1024,
        machine="q35" if datapath.library == "libdpdk" else "microvm",
        wire="vhost-user",
    )
    yield rung
    if datapath.library is None:
        yield _with(rung, name=f"{rung.name}-q35", machine="q35")


def _reference(name: str, program: str, **more: object) -> Rung:
    """Return a reference row: a program that is not one of our servers."""
    row = Rung(name=name, place="reference", datapath=None, program=program, wire="vhost-user")
    return _with(row, **{"services": ("echo",), **more})


def _with(rung: Rung, **changed: object) -> Rung:
    return rung.model_copy(update=changed)


def _each(place: Place, made: Callable[[Datapath], Iterator[Rung]], nic: str = "") -> list[Rung]:
    """Return the rungs of every datapath that runs in a place, in the order of the table."""
    return [
        rung
        for datapath in datapaths()
        if place in datapath.places and nic in ("", datapath.nic)
        for rung in made(datapath)
    ]


RUNGS: tuple[Rung, ...] = (
    _reference("memcached", "memcached", services=("kv",), wire="veth"),
    *_each("host", _host, nic="kernel"),
    _reference("limit-veth", "nm-null-xdp", wire="veth"),
    _reference("limit-nic", "nm-null-xdp", wire="nic"),
    *_each("host", _host, nic="own"),
    *_each("ukp", _ukp),
    *_each("guest", _guest),
    *_each("guest", _guest_on_taps),
    *_each("uk", _uk),
    # The ceiling of such an image: the same datapath, but it only swaps the headers of each frame.
    _reference("limit-uk", "nm-uk-limit", batch=64, ring=1024, machine="microvm"),
    *_each("host", _behind_switch),
    _reference("testpmd", "dpdk-testpmd", batch=32, ring=1024, virtio=_VIRTIO, hugepages=True),
    _reference("ceiling", "nm-null-vhost", ring=1024, hugepages=True),
)


def find(name: str) -> Rung:
    """Return the rung of that name. Raises BadInputError."""
    for rung in RUNGS:
        if rung.name == name:
            return rung
    raise BadInputError(unknown("rung", name, [rung.name for rung in RUNGS]))
