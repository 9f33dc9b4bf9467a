"""A kernel's package, its version, and the driver that gives the NIC to user space."""

from __future__ import annotations

from pathlib import Path

import elf
import pytest

from nearmetal.build import guest_kernel, programs
from nearmetal.build.guest_kernel import Kernel
from nearmetal.build.guest_modules import Modules
from nearmetal.errors import BadInputError, CannotRunError
from nearmetal.spec.programs import GUEST_KERNEL, INIT, programs_beside
from nearmetal.spec.rungs import find

DEBIAN = """\
linux-image-cloud-amd64
  Depends: linux-image-6.1.0-50-cloud-amd64
"""
UBUNTU = """\
linux-image-6.8.0-45-generic
  PreDepends: dpkg
 |Depends: kmod
  Depends: linux-base
  Depends: linux-modules-6.8.0-45-generic
  Conflicts: linux-image-unsigned-6.8.0-45-generic
  Recommends: grub-pc
  Suggests: linux-modules-extra-6.8.0-45-generic
"""
BASE = {"virtio_pci": "", "virtio_net": ""}


def _kernel(folder: Path, **needs: str) -> Kernel:
    return Kernel(folder / "vmlinuz", "6.1-x", None, Modules(elf.tree(folder / "6.1-x", **needs)))


def test_packages_are_the_kernel_and_its_modules() -> None:
    assert guest_kernel.named_packages(DEBIAN) == ["linux-image-6.1.0-50-cloud-amd64"]
    assert guest_kernel.named_packages(UBUNTU) == ["linux-modules-6.8.0-45-generic"]


def test_uio_comes_before_vfio(tmp_path: Path) -> None:
    vfio = {"vfio_pci": "", "vfio_iommu_type1": ""}
    both = _kernel(tmp_path / "both", uio_pci_generic="", **vfio)
    assert both.driver == "uio_pci_generic"
    assert [path.stem for path in both.for_user_space()] == ["uio_pci_generic"]
    other = _kernel(tmp_path / "other", **vfio)
    assert other.driver == "vfio-pci"
    assert [path.stem for path in other.for_user_space()] == ["vfio_pci", "vfio_iommu_type1"]
    with pytest.raises(CannotRunError, match="neither"):
        _ = _kernel(tmp_path / "none", virtio_pci="").driver


def test_mmio_is_taken_where_it_is(tmp_path: Path) -> None:
    without, found = (
        _kernel(tmp_path / "a", **BASE),
        _kernel(tmp_path / "b", virtio_mmio="", **BASE),
    )
    assert [path.stem for path in without.for_sockets()] == ["virtio_pci", "virtio_net"]
    assert [path.stem for path in found.for_sockets()][-1] == "virtio_mmio"


@pytest.mark.parametrize("place", ["lib/modules", "usr/lib/modules"])
def test_a_given_one_has_its_modules_beside_it(place: str, tmp_path: Path) -> None:
    image = tmp_path / "boot" / "vmlinuz-6.1-x"
    image.parent.mkdir()
    image.write_bytes(elf.bzimage("6.1-x"))
    with pytest.raises(CannotRunError, match="no modules of 6"):
        guest_kernel.of(str(image))
    elf.tree(tmp_path / place / "6.1-x", **BASE)
    found = guest_kernel.of(str(image))
    assert (found.release, found.package) == ("6.1-x", None)
    assert len(found.for_sockets()) == 2
    with pytest.raises(BadInputError, match="no such kernel"):
        guest_kernel.of(str(tmp_path / "none"))


def test_it_is_fetched_only_where_it_is_wanted() -> None:
    rung = find("guest-sock")
    assert GUEST_KERNEL in programs_beside(rung)
    given = rung.model_copy(update={"kernel": "/boot/vmlinuz"})
    assert GUEST_KERNEL not in programs_beside(given)
    assert INIT in programs_beside(given)


def test_without_apt_a_reason_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "apt-get" in str(programs.why_not(GUEST_KERNEL))
    with pytest.raises(CannotRunError, match="apt-get"):
        guest_kernel.provide()
