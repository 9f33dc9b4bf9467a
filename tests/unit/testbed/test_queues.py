"""Rings, queues, interrupts and steering of a data NIC: a made-up tree, a simulated ethtool."""

from __future__ import annotations

import errno
import struct
from contextlib import ExitStack
from pathlib import Path

import nics
import pytest
from nics import I40E, VIRTIO
from pyroute2 import IPRoute

from nearmetal.errors import BadInputError
from nearmetal.machine.devices import ethtool
from nearmetal.machine.devices.ethtool import Channels, Rings
from nearmetal.machine.journal import Journal
from nearmetal.machine.processes import owner
from nearmetal.testbed import queues

NIC = "enp59s0f1"
# linux/ethtool.h
GRINGPARAM, SRINGPARAM, GCHANNELS, SCHANNELS = 0x10, 0x11, 0x3C, 0x3D


class Nic:
    """A driver's answers: struct ethtool_ringparam and struct ethtool_channels, as integers."""

    def __init__(self) -> None:
        self.rings = [4096, 0, 0, 8192, 512, 0, 0, 256]  # limits, then current: rx, mini, jumbo, tx
        self.channels = [0, 0, 1, 8, 0, 0, 1, 8]  # limits, then current: rx, tx, other, combined
        self.knows = True
        self.keeps = False
        self.set: list[int] = []

    def exchange(self, iface: str, request: bytes) -> bytes:
        command, *values = struct.unpack("9I", request)
        if not self.knows:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        held = self.rings if command in (GRINGPARAM, SRINGPARAM) else self.channels
        if command in (SRINGPARAM, SCHANNELS):
            if self.keeps:
                raise OSError(errno.EBUSY, "Device or resource busy")
            self.set.append(command)
            assert all(now <= most for now, most in zip(values[4:], held[:4], strict=True))
            held[4:] = values[4:]
        return struct.pack("9I", command, *held)


@pytest.fixture
def its(monkeypatch: pytest.MonkeyPatch) -> Nic:
    made = Nic()
    monkeypatch.setattr(ethtool, "exchange", made.exchange)
    return made


@pytest.fixture
def records(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal", owner.current())


@pytest.mark.parametrize(
    ("wanted", "rx", "tx"), [("max", 4096, 8192), (1024, 1024, 1024)], ids=["max", "1024"]
)
def test_rings_are_set_and_put_back(
    its: Nic, records: Journal, wanted: queues.Entries, rx: int, tx: int
) -> None:
    with ExitStack() as stack:
        words = queues.rings(stack, records, NIC, wanted)
        assert ethtool.rings(NIC) == Rings(rx=rx, tx=tx)
        assert words == f"rings of {rx} to receive and {tx} to send (512 and 256 before)"
    assert ethtool.rings(NIC) == Rings(rx=512, tx=256) and its.set == [SRINGPARAM] * 2
    assert not list(records.directory.glob("*"))


def test_rings_that_are_so_already_are_left_alone(its: Nic, records: Journal) -> None:
    its.rings[4:] = its.rings[:4]
    with ExitStack() as stack:
        words = queues.rings(stack, records, NIC, "max")
    assert words == "rings of 4096 to receive and 8192 to send" and its.set == []


def test_rings_longer_than_there_are(its: Nic, records: Journal) -> None:
    with ExitStack() as stack, pytest.raises(BadInputError, match=r"rings = 8000: .* most 4096 to"):
        queues.rings(stack, records, NIC, 8000)
    assert its.set == []


def test_what_a_driver_keeps_is_said(its: Nic, records: Journal) -> None:
    its.keeps = True
    with ExitStack() as stack:
        assert "which its driver keeps (Device or" in queues.rings(stack, records, NIC, "max")
        assert "8 queues, which its driver keeps" in queues.one(stack, records, NIC)
    its.knows = False
    with ExitStack() as stack:
        assert "does not allow setting ring sizes" in queues.rings(stack, records, NIC, "max")
        assert queues.one(stack, records, NIC) == "one queue"
    assert its.set == []


@pytest.mark.parametrize(
    ("most", "now", "one"),
    [
        ((0, 0, 1, 8), (0, 0, 1, 8), Channels(rx=0, tx=0, other=1, combined=1)),
        ((4, 4, 0, 0), (4, 2, 0, 0), Channels(rx=1, tx=1, other=0, combined=0)),
    ],
    ids=["combined", "apart"],
)
def test_one_queue(
    its: Nic, records: Journal, most: tuple[int, ...], now: tuple[int, ...], one: Channels
) -> None:
    its.channels = [*most, *now]
    with ExitStack() as stack:
        words = queues.one(stack, records, NIC)
        assert ethtool.channels(NIC) == one and one.queues == 1
        assert words == f"one queue ({now[0] + now[3]} before)"
    assert its.channels == [*most, *now]


@pytest.mark.usefixtures("space")
def test_one_queue_of_a_real_link(records: Journal) -> None:
    with IPRoute() as route:
        peer = {"ifname": "q1", "num_tx_queues": 4, "num_rx_queues": 4}
        route.link("add", ifname="q0", kind="veth", num_tx_queues=4, num_rx_queues=4, peer=peer)
    four = Channels(rx=4, tx=4, other=0, combined=0)
    ethtool.set_channels("q0", four)
    with ExitStack() as stack:
        assert queues.one(stack, records, "q0") == "one queue (4 before)"
        assert ethtool.channels("q0") == Channels(rx=1, tx=1, other=0, combined=0)
    assert ethtool.channels("q0") == four
    with pytest.raises(OSError, match="Invalid argument"):
        ethtool.set_channels("q0", Channels(rx=5, tx=5, other=0, combined=0))
    assert ethtool.rings("q0") is None  # a veth has no rings


def test_interrupts_go_to_the_servers_core_without_steering(
    tmp_path: Path, its: Nic, records: Journal
) -> None:
    root = nics.build(tmp_path / "machine", I40E)
    nics.put(root / "proc/irq/45/smp_affinity_list", 2)  # already on that core
    its.channels[7] = 1
    before = values(root)
    with ExitStack() as stack:
        words = queues.on_core(stack, records, NIC, 2, root)
        assert words == "queues 1, interrupts 44-46 on core 2"
        assert {values(root)[f"proc/irq/{n}/smp_affinity_list"] for n in (44, 45, 46)} == {"2"}
        of = {k.rpartition("queues/")[2]: v for k, v in values(root).items() if "queues/" in k}
        assert of["rx-0/rps_cpus"] == of["rx-1/rps_cpus"] == "00000000"
        assert of["tx-0/xps_cpus"] == "00000004" and of["tx-1/xps_cpus"] == "0f"
    assert values(root) == before
    assert not list(records.directory.glob("*"))


def test_interrupts_of_virtio_are_its_cards(tmp_path: Path, its: Nic, records: Journal) -> None:
    its.knows = False
    root = nics.build(tmp_path / "machine", VIRTIO)
    nics.put(root / "proc/77/comm", "irqbalance")
    with ExitStack() as stack:
        words = queues.on_core(stack, records, "ens4", 3, root)
    assert words == "interrupts 44-46 on core 3; irqbalance runs and may move them again"


def test_an_interrupt_that_the_kernel_keeps_is_said(
    tmp_path: Path, its: Nic, records: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = nics.build(tmp_path / "machine", I40E)
    write = Path.write_text

    def managed(file: Path, text: str, encoding: str | None = None) -> int:
        if file.parent.name == "46":
            raise OSError(errno.EIO, "Input/output error")
        return write(file, text, encoding)

    monkeypatch.setattr(Path, "write_text", managed)
    with ExitStack() as stack:
        words = queues.on_core(stack, records, NIC, 1, root)
    assert words == (
        "queues 8, interrupts 44-45 on core 1; interrupt 46 stays where its driver put it"
    )


def test_a_generators_interrupts_are_told_and_left_alone(tmp_path: Path) -> None:
    root = nics.build(tmp_path / "machine", I40E)
    before = values(root)
    words = queues.left_alone(NIC, root)
    assert words == "its interrupts on cores 0-7, as its machine has them"
    assert values(root) == before
    assert queues.left_alone("eth7", root) == "no interrupts of its own"


def values(root: Path) -> dict[str, str]:
    return {
        str(file.relative_to(root)): file.read_text().strip()
        for file in root.rglob("*")
        if file.is_file()
    }
