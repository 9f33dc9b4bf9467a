"""The interface that a machines file names, and how DPDK gets it."""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from nearmetal.errors import CannotRunError, NearmetalError
from nearmetal.machine.devices import ethtool, pci
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import nic
from nearmetal.machine.processes import owner
from nearmetal.spec import rungs
from nearmetal.testbed import data_nic, remote_dut

WANTED = data_nic.Wanted("lo", "10.10.0.1/24", frames=True, checksums=False, receive_cpu=None)


def card(root: Path, address: str, driver: str, *interfaces: str) -> None:
    folder = root / "sys/bus/pci/devices" / address
    for name in interfaces:
        (folder / "net" / name).mkdir(parents=True)
    folder.mkdir(parents=True, exist_ok=True)
    if driver:
        (root / "sys/bus/pci/drivers" / driver).mkdir(parents=True)
        (folder / "driver").symlink_to(root / "sys/bus/pci/drivers" / driver)


def test_a_pci_address_means_its_interface(tmp_path: Path) -> None:
    card(tmp_path, "0000:3b:00.1", "i40e", "eth1")
    assert data_nic.named("0000:3b:00.1", tmp_path) == "eth1"
    assert data_nic.named("eth5", tmp_path) == "eth5"


@pytest.mark.parametrize(
    ("driver", "interfaces", "words"),
    [
        ("vfio-pci", (), r"no interface there \(its driver is vfio-pci\)"),
        ("", (), r"no interface there \(it has no driver\)"),
        ("mlx4_core", ("a", "b"), "several interfaces; name one: a, b"),
    ],
)
def test_one_that_means_none_is_said(
    tmp_path: Path, driver: str, interfaces: tuple[str, ...], words: str
) -> None:
    card(tmp_path, "0000:3b:00.1", driver, *interfaces)
    with pytest.raises(NearmetalError, match=words):
        data_nic.named("0000:3b:00.1", tmp_path)
    with pytest.raises(NearmetalError, match="no such PCI device"):
        data_nic.named("0000:3b:00.2", tmp_path)


def test_how_dpdk_is_given_it() -> None:
    assert nic.taken("af_packet", "eth1") == nic.link("eth1")
    assert nic.taken("af_xdp", "eth1") == ("--no-pci", "--vdev", "net_af_xdp0,iface=eth1")
    assert nic.taken("dpdk", "0000:3b:00.1") == ("-a", "0000:3b:00.1")


def test_what_is_no_card_is_not_taken_by_dpdks_drivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_nic, "_check", lambda iface: None)
    monkeypatch.setattr(data_nic.nic, "driver", lambda iface: "veth")
    monkeypatch.setattr(pci, "of_interface", lambda iface: None)
    records = Journal(tmp_path / "journal", owner.current())
    with (
        pytest.raises(CannotRunError, match=r"nic lo \(veth\): not a PCI device"),
        data_nic.prepared(records, replace(WANTED, take="dpdk")),
    ):
        pytest.fail("was taken")


@pytest.mark.parametrize(
    ("wire", "take", "driver", "is_linked"),
    [
        ("nic", "dpdk", "mlx5_core", False),
        ("pvp", "dpdk", "mlx5_core", True),
        ("nic", "dpdk", "i40e", True),
        ("nic", "af_xdp", "mlx5_core", True),
    ],
)
def test_cards_that_our_server_has_no_driver_for(
    wire: str, take: nic.Take, driver: str, is_linked: bool
) -> None:
    rung = rungs.find("host-dpdk").model_copy(update={"wire": wire})
    reason = remote_dut.unlinked(rung, take, driver)
    assert reason is None if is_linked else reason is not None and driver in reason


def xdp_pass() -> int:
    """Load a program that passes every packet: bpf(2)."""
    instructions = struct.pack("<QQ", 0x2_0000_00B7, 0x95)  # r0 = XDP_PASS; exit
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"BSD")
    asked = struct.pack("IIQQ", 6, 2, ctypes.addressof(code), ctypes.addressof(licence)) + bytes(96)
    libc = ctypes.CDLL(None, use_errno=True)
    program: int = libc.syscall(321, 5, asked, len(asked))  # BPF_PROG_LOAD
    if program < 0:
        pytest.skip(f"no XDP program may be loaded: {os.strerror(ctypes.get_errno())}")
    return program


@pytest.mark.usefixtures("space")
def test_a_foreign_xdp_program_stays_and_one_left_over_is_removed(tmp_path: Path) -> None:
    records = Journal(tmp_path / "journal", owner.current())
    with IPRoute() as route:
        route.link("add", ifname="x0", kind="veth", peer={"ifname": "x1"})
        (index,) = route.link_lookup(ifname="x0")

        def attached() -> bool:
            (link,) = route.get_links(index)
            return bool(link.get("xdp").get("IFLA_XDP_ATTACHED"))

        with ExitStack() as stack:
            data_nic._xdp(stack, records, "x0")
            route.link("set", index=index, xdp_fd=xdp_pass())
            assert attached()
        assert not attached()
        route.link("set", index=index, xdp_fd=xdp_pass())
        with ExitStack() as stack, pytest.raises(CannotRunError, match="nic x0: another XDP"):
            data_nic._xdp(stack, records, "x0")
        assert attached()
    assert not list(records.directory.glob("*"))


@pytest.mark.usefixtures("space")
def test_xdp_sockets_take_one_queue(tmp_path: Path) -> None:
    with IPRoute() as route:
        peer = {"ifname": "x1", "num_tx_queues": 2, "num_rx_queues": 2}
        route.link("add", ifname="x0", kind="veth", num_tx_queues=2, num_rx_queues=2, peer=peer)
    ethtool.set_channels("x0", ethtool.Channels(rx=2, tx=2, other=0, combined=0))
    records = Journal(tmp_path / "journal", owner.current())
    with ExitStack() as stack, pytest.raises(CannotRunError, match=r"x0: 2 queues, .* needs one"):
        data_nic._xdp(stack, records, "x0")


def test_the_interface_of_the_default_route_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    there = next(path.name for path in Path("/sys/class/net").iterdir() if path.name != "lo")
    monkeypatch.setattr(nic, "carries_default_route", lambda iface: iface == there)
    with pytest.raises(NearmetalError, match=f"nic {there}: carries the machine's default route"):
        data_nic._check(there)
    with pytest.raises(NearmetalError, match="nic nm-none: no such interface"):
        data_nic._check("nm-none")


def test_the_interface_that_we_are_steered_by_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nic, "carries_default_route", lambda iface: False)
    monkeypatch.setattr(data_nic, "addresses", lambda iface: ["192.0.2.7/24"])
    there = next(path.name for path in Path("/sys/class/net").iterdir() if path.name != "lo")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 40000 192.0.2.7 22")
    with pytest.raises(NearmetalError, match=r"carries our SSH connection \(192.0.2.7\)"):
        data_nic._check(there)
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 40000 192.0.2.8 22")
    data_nic._check(there)
