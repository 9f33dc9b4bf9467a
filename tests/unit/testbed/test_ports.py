"""Which interface a machine file means, and how DPDK is given it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nearmetal import nic
from nearmetal.errors import CannotRunError, NearmetalError
from nearmetal.lab import owner, pci
from nearmetal.lab.journal import Journal
from nearmetal.testbed import ports

WANTED = ports.Wanted("lo", "10.10.0.1/24", frames=True, checksums=False, receive_cpu=None)


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
    assert ports.named("0000:3b:00.1", tmp_path) == "eth1"
    assert ports.named("eth5", tmp_path) == "eth5"


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
        ports.named("0000:3b:00.1", tmp_path)
    with pytest.raises(NearmetalError, match="no such PCI device"):
        ports.named("0000:3b:00.2", tmp_path)


def test_how_dpdk_is_given_it() -> None:
    assert nic.taken("af_packet", "eth1") == nic.link("eth1")
    assert nic.taken("af_xdp", "eth1") == ("--no-pci", "--vdev", "net_af_xdp0,iface=eth1")
    assert nic.taken("dpdk", "0000:3b:00.1") == ("-a", "0000:3b:00.1")


def test_what_is_no_card_is_not_taken_by_dpdks_drivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_check", lambda iface: None)
    monkeypatch.setattr(ports, "_driver", lambda iface: "veth")
    monkeypatch.setattr(pci, "of_interface", lambda iface: None)
    records = Journal(tmp_path / "journal", owner.current())
    with (
        pytest.raises(CannotRunError, match=r"nic lo \(veth\): no PCI device"),
        ports.prepared(records, replace(WANTED, take="dpdk")),
    ):
        pytest.fail("was taken")


def test_the_interface_that_we_are_steered_by_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nic, "carries_default_route", lambda iface: False)
    monkeypatch.setattr(ports, "addresses", lambda iface: ["192.0.2.7/24"])
    there = next(path.name for path in Path("/sys/class/net").iterdir() if path.name != "lo")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 40000 192.0.2.7 22")
    with pytest.raises(NearmetalError, match=r"we are steered by it \(SSH to 192.0.2.7\)"):
        ports._check(there)
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 40000 192.0.2.8 22")
    ports._check(there)
