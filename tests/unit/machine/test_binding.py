"""NICs handed to DPDK and given back, on made-up trees with a simulated kernel; links are real."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nics
import pytest
from nics import DRIVERLESS, I40E, MLX5, VIRTIO, Card, Kernel
from pyroute2 import IPRoute

from nearmetal.errors import CannotRunError, NearmetalError
from nearmetal.machine import journal
from nearmetal.machine.devices import interface, pci
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import binding
from nearmetal.machine.processes import owner

DRIVERS = ("vfio-pci", "uio_pci_generic")
Made = Callable[..., tuple[pci.Device, Kernel, Path]]


def only(root: Path, card: Card) -> pci.Device:
    found = pci.device(card.address, root)
    assert found is not None
    return found


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Return a function that makes a card in a machine, and its kernel."""

    def make(
        card: Card, *others: Card, drivers: tuple[str, ...] = DRIVERS
    ) -> tuple[pci.Device, Kernel, Path]:
        root = nics.build(tmp_path / "machine", card, *others, drivers=drivers)
        kernel = Kernel(root, card, *others)
        monkeypatch.setattr(pci, "write", kernel.write)
        monkeypatch.setattr(pci, "load", kernel.load)
        monkeypatch.setattr(pci, "unload", kernel.unload)
        return only(root, card), kernel, root

    return make


def test_a_card_is_read(made: Made) -> None:
    its, _, root = made(I40E, MLX5, VIRTIO, DRIVERLESS)
    assert (its.driver, its.interfaces, its.interrupts) == ("i40e", ["enp59s0f1"], [44, 45, 46])
    assert its.has_iommu and its.override == "" and its.beside() == []
    assert pci.of_interface("enp59s0f1", root) == its
    virtio = only(root, VIRTIO)
    assert virtio.interfaces == ["ens4"] and not virtio.has_iommu
    assert pci.of_interface("ens4", root) == virtio
    assert only(root, DRIVERLESS).driver == ""
    assert pci.device("0000:99:00.0", root) is None
    assert pci.of_interface("eth7", root) is None


@pytest.mark.parametrize(
    ("card", "others", "words"),
    [
        (I40E, (), None),
        (VIRTIO, (), None),
        (I40E, (replace(MLX5, group=15),), r"IOMMU group with 0000:5e:00.0 \(mlx5_core\)"),
        (I40E, (replace(MLX5, group=15, driver="vfio-pci", interfaces=()),), None),
        (I40E, (replace(DRIVERLESS, group=15),), None),
        (I40E, (Card("0000:3a:00.0", "pcieport", (), 15, kind=nics.BRIDGE),), None),
        (DRIVERLESS, (), "has no driver"),
        (replace(I40E, driver="vfio-pci", interfaces=()), (), "vfio-pci has the device already"),
        (replace(I40E, interfaces=("a", "b")), (), "not one interface but a, b"),
        (replace(I40E, virtual_functions=4), (), "4 virtual functions"),
    ],
)
def test_what_may_be_handed_over(
    made: Made, card: Card, others: tuple[Card, ...], words: str | None
) -> None:
    its, kernel, root = made(card, *others)
    reason = binding.why_not(its, root)
    if words is None:
        assert reason is None
        return
    with (
        pytest.raises(CannotRunError, match=words) as caught,
        binding.handed(Journal(root / "journal", owner.current()), its, root),
    ):
        pytest.fail("was handed over")
    assert str(caught.value).startswith(f"nic {its.address}: ") and "\n" not in str(caught.value)
    assert kernel.written == []


def test_a_port_of_a_bridge_stays(made: Made) -> None:
    its, _, root = made(I40E)
    (root / "sys/class/net/enp59s0f1/upper_br0").mkdir()
    assert "is part of br0" in (binding.why_not(its, root) or "")


def test_hand_over_and_back_are_what_the_kernel_wants_in_order(made: Made) -> None:
    its, kernel, _ = made(I40E)
    pci.hand_over(its, "vfio-pci")
    assert (its.driver, its.override, its.interfaces) == ("vfio-pci", "vfio-pci", [])
    device = "devices/0000:3b:00.1"
    assert kernel.written == [
        (f"{device}/driver_override", "vfio-pci"),
        (f"{device}/driver/unbind", its.address),
        ("drivers_probe", its.address),
    ]
    kernel.written.clear()
    pci.give_back(its, "i40e", "")
    assert (its.driver, its.override) == ("i40e", "") and len(its.interfaces) == 1
    assert kernel.written == [
        (f"{device}/driver_override", ""),
        (f"{device}/driver/unbind", its.address),
        ("drivers/i40e/bind", its.address),
    ]
    kernel.written.clear()
    pci.give_back(its, "i40e", "")
    assert kernel.written == []  # a second time changes nothing


def test_interrupts_are_put_back_by_name(made: Made, tmp_path: Path) -> None:
    its, _, root = made(I40E)
    nics.put(root / "proc/irq/45/smp_affinity_list", "3")
    before = its.affinities()
    assert before == {"i40e-44": "0-7", "i40e-45": "3", "i40e-46": "0-7"}
    with binding.remembered(Journal(tmp_path / "journal", owner.current()), its):
        # The driver makes them again, with other numbers and affinities.
        (root / "proc/irq/45/i40e-45").rename(root / "proc/irq/44/i40e-45")
        (root / "proc/irq/44/i40e-44").rename(root / "proc/irq/45/i40e-44")
        nics.put(root / "proc/irq/46/smp_affinity_list", "7")
    assert its.affinities() == before
    assert (root / "proc/irq/44/smp_affinity_list").read_text().strip() == "3"


def test_an_earlier_override_is_restored(made: Made) -> None:
    its, _, _ = made(replace(I40E, override="i40e"))
    was = its.override
    pci.hand_over(its, "vfio-pci")
    pci.give_back(its, "i40e", was)
    assert (its.driver, its.override) == ("i40e", "i40e")


def test_an_interface_that_does_not_come_back_is_said(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    its, _, _ = made(replace(I40E, interfaces=()))
    monkeypatch.setattr(pci, "_BACK_S", 0.0)
    with pytest.raises(NearmetalError, match="i40e made no interface"):
        pci.wait_interface(its)


# The following tests use real links, in a network namespace made for the test.


def add(name: str) -> None:
    with IPRoute() as route:
        route.link("add", ifname=name, kind="veth", peer={"ifname": f"{name}-p"})


def remove(name: str) -> None:
    with IPRoute() as route:
        route.link("del", index=route.link_lookup(ifname=name)[0])


def linked(made: Made, card: Card, **more: object) -> tuple[pci.Device, Kernel, Path]:
    """Make a card whose interface is a real link with addresses, a route and other settings."""
    its, kernel, root = made(card, **more)
    kernel.comes, kernel.goes = add, remove
    (name,) = card.interfaces
    add(name)
    with IPRoute() as route:
        (index,) = route.link_lookup(ifname=name)
        (peer,) = route.link_lookup(ifname=f"{name}-p")
        route.link("set", index=index, address="02:aa:00:00:00:07", mtu=9000, state="up")
        route.link("set", index=peer, state="up")
        route.addr("add", index=index, address="10.10.0.1", prefixlen=24)
        route.addr("add", index=index, address="10.10.0.9", prefixlen=24)
        route.route("add", dst="10.20.0.0/16", gateway="10.10.0.254", oif=index, priority=7)
    return its, kernel, root


@pytest.mark.usefixtures("space")
@pytest.mark.parametrize(
    ("card", "drivers", "by"),
    [
        (I40E, DRIVERS, "vfio-pci"),
        (VIRTIO, DRIVERS, "uio_pci_generic"),  # there is no IOMMU
    ],
    ids=["i40e", "virtio"],
)
def test_the_interface_comes_back_as_it_was(
    made: Made, card: Card, drivers: tuple[str, ...], by: str, tmp_path: Path
) -> None:
    its, _, root = linked(made, card, drivers=drivers)
    (name,) = card.interfaces
    before = interface.seen(name)
    assert before.mtu == 9000 and len(before.addresses) == 2 and len(before.routes) == 1
    records = Journal(tmp_path / "journal", owner.current())
    with binding.handed(records, its, root) as words:
        assert words == f"{by} has the card" and its.driver == by
        with IPRoute() as route:
            assert not route.link_lookup(ifname=name)
    assert its.driver == card.driver and its.override == ""
    assert interface.seen(name) == before
    assert not list(tmp_path.glob("journal/*"))


@pytest.mark.usefixtures("space")
def test_a_driver_that_will_not_take_it_leaves_it_as_it_was(made: Made, tmp_path: Path) -> None:
    its, kernel, root = linked(made, I40E)
    kernel.refuses.add("vfio-pci")
    before = interface.seen("enp59s0f1")
    records = Journal(tmp_path / "journal", owner.current())
    with (
        pytest.raises(NearmetalError, match=r"0000:3b:00.1: vfio-pci did not take the"),
        binding.handed(records, its, root),
    ):
        pytest.fail("was handed over")
    assert its.driver == "i40e" and interface.seen("enp59s0f1") == before


@pytest.mark.usefixtures("space")
def test_clean_gives_back_what_a_kill_left(made: Made, tmp_path: Path) -> None:
    its, _, root = linked(made, I40E)
    before = interface.seen("enp59s0f1")
    pid = os.fork()
    if pid == 0:  # its records have an owner that has ended when they are read
        holding = binding.handed(Journal(tmp_path / "journal", owner.current()), its, root)
        holding.__enter__()
        os._exit(7)
    assert os.waitpid(pid, 0)[1] == 7 << 8
    assert its.driver == "vfio-pci" and its.interfaces == []
    done = journal.clean(tmp_path)
    assert [line.split()[0] for line in done] == ["driver", "interface", "interrupts"]
    assert its.driver == "i40e" and interface.seen("enp59s0f1") == before
    assert journal.clean(tmp_path) == []


def test_what_dpdk_works_beside_is_not_touched(made: Made, tmp_path: Path) -> None:
    its, kernel, root = made(MLX5)
    with binding.handed(Journal(tmp_path / "journal", owner.current()), its, root) as words:
        assert words == "mlx5_core shares the card with DPDK"
        assert its.driver == "mlx5_core" and its.interfaces == ["enp94s0np0"]
    assert kernel.written == []


@pytest.mark.usefixtures("space")
@pytest.mark.parametrize(
    ("card", "mode", "words"),
    [
        (I40E, "N", "no driver vfio-pci"),
        (VIRTIO, "N", r"no driver uio_pci_generic \(no module.*no IOMMU for vfio-pci either"),
        (VIRTIO, "Y", "no driver vfio-pci"),  # the user allowed vfio-pci without an IOMMU
    ],
)
def test_drivers_that_are_not_there(
    made: Made, tmp_path: Path, card: Card, mode: str, words: str
) -> None:
    its, kernel, root = linked(made, card, drivers=())
    mode_file = root / "sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
    nics.put(mode_file, mode)
    with (
        pytest.raises(CannotRunError, match=words) as caught,
        binding.handed(Journal(tmp_path / "journal", owner.current()), its, root),
    ):
        pytest.fail("was handed over")
    assert "\n" not in str(caught.value)
    assert kernel.written == [] and mode_file.read_text().strip() == mode
    assert not list(tmp_path.glob("journal/*"))


@pytest.mark.usefixtures("space")
def test_a_driver_that_is_loaded_for_it_goes_with_it(made: Made, tmp_path: Path) -> None:
    its, kernel, root = linked(made, I40E, drivers=())
    kernel.modules.add("vfio-pci")
    with binding.handed(Journal(tmp_path / "journal", owner.current()), its, root):
        assert its.driver == "vfio-pci"
    assert its.driver == "i40e" and not pci.has_driver("vfio-pci", root)


@pytest.mark.usefixtures("space")
def test_an_xdp_record_and_an_interface_that_went_are_no_trouble(tmp_path: Path) -> None:
    records = Journal(tmp_path / "journal", owner.current())
    add("x0")
    with records.holds("xdp", "x0"):
        remove("x0")
    with IPRoute() as route:
        assert socket.if_nameindex() and not route.link_lookup(ifname="x0")
