"""The machine of a guest row, and its image."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import elf
import pytest

from nearmetal.build.guest_kernel import Kernel
from nearmetal.build.guest_modules import Modules
from nearmetal.dut import guest, guest_image
from nearmetal.dut.guest import Inside
from nearmetal.machine.vm.qemu import VhostUser
from nearmetal.samples import Accelerator
from nearmetal.spec.rungs import find

STORE = 64 << 20
TCG = Accelerator(name="tcg", cpu="max")
NIC = VhostUser(Path("vhost"), "02:00:00:00:00:01", 1024)
WORDS = ["--listen", "10.0.0.1:11211"]


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    """A kernel with every module that is needed, and programs of some bytes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    names = ("virtio_pci", "virtio_net", "uio_pci_generic", "vfio_pci", "vfio_iommu_type1")
    modules = Modules(elf.tree(tmp_path / "6.1-x", **dict.fromkeys(names, "")))
    for name in ("vmlinuz", "init", "server"):
        (tmp_path / name).write_bytes(name.encode())
    kernel = Kernel(tmp_path / "vmlinuz", "6.1-x", None, modules)
    return Inside(kernel, tmp_path / "init", tmp_path / "server")


def _machine(rung: str, inside: Inside) -> tuple[guest.Machine, list[str]]:
    told = guest.said(find(rung), inside, WORDS, "10.0.0.1/24", STORE)
    machine = guest.machine(inside, told, NIC, TCG)
    return machine, machine.command_line.split()


@pytest.mark.parametrize("rung", ["guest-sock", "guest-mmsg", "guest-dpdk"])
def test_memory_beyond_the_store_is_bounded(rung: str, inside: Inside) -> None:
    machine, _ = _machine(rung, inside)
    assert machine.memory_bytes - STORE <= 128 << 20
    assert machine.type == "q35" and machine.nics == (NIC,)


def test_sockets_leave_the_nic_to_the_kernel(inside: Inside) -> None:
    machine, words = _machine("guest-mmsg", inside)
    assert "nm.address=10.0.0.1/24" in words and not machine.options
    assert not any(word.startswith(("nm.driver", "hugepages")) for word in words)


def test_dpdk_has_the_nic_and_pages_for_itself_and_the_store(inside: Inside) -> None:
    machine, words = _machine("guest-dpdk", inside)
    assert "nm.driver=uio_pci_generic" in words and "hugepages=40" in words
    assert not any(word.startswith("nm.address") for word in words)
    assert words.index("--hugepages") < words.index("--") < words.index("--in-memory")
    assert not machine.options


def test_without_uio_there_is_an_iommu(inside: Inside) -> None:
    (inside.kernel.modules.folder / "kernel" / "drivers" / "uio_pci_generic.ko").unlink()
    kernel = replace(inside.kernel, modules=Modules(inside.kernel.modules.folder))
    machine, words = _machine("guest-dpdk", replace(inside, kernel=kernel))
    assert machine.options == ("-device", "intel-iommu") and "nm.driver=vfio-pci" in words


def test_an_image_is_made_once(inside: Inside) -> None:
    needed = inside.kernel.for_sockets()
    first = guest_image.make(inside.kernel, inside.init, inside.server, needed)
    made = Path(first.initrd)
    os.utime(made, (1, 1))
    assert guest_image.make(inside.kernel, inside.init, inside.server, needed) == first
    assert made.stat().st_mtime > 1, "it is in use"
    assert first.image_bytes == made.stat().st_size + len(b"vmlinuz")
    inside.server.write_bytes(b"another")
    os.utime(made, (1, 1))
    second = guest_image.make(inside.kernel, inside.init, inside.server, needed)
    assert second.initrd != first.initrd and second.sha256 != first.sha256
    assert not made.exists(), "it has not been used for long"


def test_modules_are_named_in_order(inside: Inside) -> None:
    entries = guest_image.entries(b"i", b"s", inside.kernel.for_user_space())
    found = {entry.path: entry.content for entry in entries}
    assert found["modules/order"] == b"uio_pci_generic.ko\n"
    assert (found["init"], found["server"]) == (b"i", b"s")
    assert "modules/uio_pci_generic.ko" in found and "dev/console" in found
