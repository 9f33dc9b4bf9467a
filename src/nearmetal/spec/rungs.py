"""The rungs: rows of data. A new technique is a datapath file and a row here."""

from __future__ import annotations

import difflib
from typing import Literal

from nearmetal.errors import BadInputError
from nearmetal.machine.vm.qemu import MachineType
from nearmetal.samples import Frozen

Service = Literal["kv", "echo"]
WireName = Literal["veth", "vhost-user", "tap", "vhost-net", "pvp", "nic"]
Place = Literal["host", "guest", "uk", "ukp", "image", "reference"]

# What a place is, where its name alone does not tell.
PLACES: dict[str, str] = {
    "guest": "Linux in a virtual machine",
    "uk": "unikernel in a virtual machine",
    "ukp": "unikernel as a process",
    "image": "foreign image",
}


class Image(Frozen):
    """An image that a spec brings along ([[image]], images of anybody): what boots, who answers."""

    kernel: str
    kernel_sha256: str
    initrd: str | None = None
    initrd_sha256: str | None = None
    cmdline: str = ""
    memory_bytes: int
    address: str
    port: int
    options: tuple[str, ...] = ()  # further words for QEMU


class Rung(Frozen):
    """A row of the table: place + datapath + knobs. Data, not code."""

    name: str  # host-mmsg; or a reference row: memcached, limit-veth
    place: Place
    datapath: str | None  # None for reference rows
    batch: int | None = None  # most requests or frames of one turn: --batch, testpmd's --burst
    segment: bool = False  # knob of mmsg: --segment (UDP_SEGMENT)
    ring: int | None = None  # entries of each virtqueue
    virtio: str | None = None  # what is asked of virtio-user: device options, joined by a comma
    hugepages: bool = False  # memory in 2 MiB pages: the store's (--hugepages) and the frames'
    machine: MachineType | None = None  # of what runs in a virtual machine
    image: Image | None = None  # of the place image
    kernel: str | None = None  # of the place guest: a given one; None: the distribution's
    absent: str | None = None  # why there is no such program: the row is skipped
    wire: WireName = "veth"
    services: tuple[Service, ...] = ("kv", "echo")

    @property
    def generator(self) -> str:
        """The program that asks it."""
        return "nm-load-vhost" if self.wire == "vhost-user" else "nm-load"

    def options(self) -> list[str]:
        """Its knobs as its program has them (docs/programs.md)."""
        batch = [] if self.batch is None else ["--batch", str(self.batch)]
        return [*batch, "--segment"] if self.segment else batch


TAPS: tuple[WireName, ...] = ("tap", "vhost-net")  # wires of virtual machines through the kernel

# DPDK 22.11's fastest mode of virtio-user: in-order split rings without mergeable buffers
# (docs/rungs.md). host-dpdk and testpmd differ in nothing but the program.
_VIRTIO = "in_order=1,mrg_rxbuf=0"

RUNGS: tuple[Rung, ...] = (
    Rung(name="memcached", place="reference", datapath=None, services=("kv",)),
    Rung(name="host-py", place="host", datapath="py"),
    Rung(name="host-sock", place="host", datapath="sock"),
    Rung(name="host-mmsg", place="host", datapath="mmsg", batch=32, segment=True),
    Rung(name="host-mmsg-plain", place="host", datapath="mmsg", batch=32),
    Rung(name="limit-veth", place="reference", datapath=None, services=("echo",)),
    Rung(name="limit-nic", place="reference", datapath=None, wire="nic", services=("echo",)),
    Rung(
        name="host-dpdk",
        place="host",
        datapath="dpdk",
        batch=32,
        ring=1024,
        virtio=_VIRTIO,
        hugepages=True,
        wire="vhost-user",
    ),
    # A burst of 64: the ring's index is published once for all of it.
    Rung(
        name="ukp-netdev",
        place="ukp",
        datapath="netdev",
        batch=64,
        ring=1024,
        hugepages=True,
        wire="vhost-user",
    ),
    Rung(
        name="ukp-lwip",
        place="ukp",
        datapath="lwip",
        batch=64,
        ring=1024,
        hugepages=True,
        wire="vhost-user",
    ),
    # A PC, for DPDK wants PCI. mmsg without joining replies: the NIC does not cut them up, and for
    # the guest's kernel that costs more than it saves.
    *(
        Rung(
            name=f"guest-{datapath}",
            place="guest",
            datapath=datapath,
            batch=batch,
            ring=1024,
            machine="q35",
            wire="vhost-user",
        )
        for datapath, batch in (("sock", None), ("mmsg", 32), ("dpdk", 32))
    ),
    # The same on a tap device: QEMU carries the frames, or the host's kernel does. QEMU has no
    # longer rings for that.
    *(
        Rung(
            name=f"guest-{datapath}-{wire}",
            place="guest",
            datapath=datapath,
            batch=batch,
            ring=256,
            machine="q35",
            wire=wire,
        )
        for datapath, batch in (("sock", None), ("mmsg", 32), ("dpdk", 32))
        for wire in TAPS
    ),
    # The same images as real ones. A microvm starts in half the time of a PC, and has no PCI.
    *(
        Rung(
            name=name,
            place="uk",
            datapath=datapath,
            batch=64,
            ring=1024,
            machine=machine,
            wire="vhost-user",
        )
        for name, datapath, machine in (
            ("uk-netdev", "netdev", "microvm"),
            ("uk-netdev-q35", "netdev", "q35"),
            ("uk-lwip", "lwip", "microvm"),
        )
    ),
    # The paper's table has it.
    Rung(
        name="uk-dpdk",
        place="uk",
        datapath="dpdk",
        machine="microvm",
        wire="vhost-user",
        absent=(
            "DPDK is not ported to our unikernel; uk-netdev does there what DPDK's poll-mode driver"
            " would: it polls the NIC's rings itself, with no stack between"
        ),
    ),
    # The most that such an image can do here: its datapath, and only headers are turned.
    Rung(
        name="limit-uk",
        place="reference",
        datapath=None,
        batch=64,
        ring=1024,
        machine="microvm",
        wire="vhost-user",
        services=("echo",),
    ),
    # The same server behind a switch, as guests are: a third poller, so not in quick.toml.
    Rung(
        name="host-dpdk-pvp",
        place="host",
        datapath="dpdk",
        batch=32,
        ring=256,
        virtio=_VIRTIO,
        wire="pvp",
    ),
    Rung(
        name="testpmd",
        place="reference",
        datapath=None,
        batch=32,
        ring=1024,
        virtio=_VIRTIO,
        hugepages=True,
        wire="vhost-user",
        services=("echo",),
    ),
    Rung(
        name="ceiling",
        place="reference",
        datapath=None,
        ring=1024,
        wire="vhost-user",
        services=("echo",),
    ),
)


def find(name: str) -> Rung:
    """The rung of that name."""
    for rung in RUNGS:
        if rung.name == name:
            return rung
    known = [rung.name for rung in RUNGS]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise BadInputError(f"unknown rung {name!r}{hint} (known: {', '.join(known)})")
