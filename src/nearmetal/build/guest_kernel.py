"""The guest's kernel: the distribution's kernel for virtual machines, fetched as a file.

Nothing is installed: its package is fetched with a separate package-manager state, checked against
the hash in the package index, and unpacked. The kernel and the modules that a guest may need are
kept in the cache. A spec may name another kernel by its path; its modules are then those in
../lib/modules or ../usr/lib/modules relative to it, or else this machine's.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearmetal.build import fetched, sources
from nearmetal.build.guest_modules import Modules
from nearmetal.errors import CannotRunError
from nearmetal.machine.vm import bzimage
from nearmetal.paths import cache_dir

# Packages that depend on the newest kernel: Debian's and Ubuntu's names.
_NEWEST = ("linux-image-cloud-amd64", "linux-image-virtual")
_PACKAGE = re.compile(r"linux-(?:image|modules)-\d[\w.+-]*")

SOCKETS = ("virtio_pci", "virtio_net")
MMIO = "virtio_mmio"  # for machines without PCI
UIO = "uio_pci_generic"
VFIO = ("vfio_pci", "vfio_iommu_type1")
HOST = ("tun", "vhost_net")  # for a machine that runs guests itself
UIO_DRIVER, VFIO_DRIVER = "uio_pci_generic", "vfio-pci"


@dataclass(frozen=True)
class Kernel:
    """A kernel that a guest can run."""

    image: Path  # a bzImage
    release: str
    package: str | None  # name=version; None: the user named the kernel
    modules: Modules

    def for_sockets(self) -> list[Path]:
        """Return the modules of a guest whose kernel drives the NIC, in load order."""
        optional = [MMIO] if self.modules.has(MMIO) else []
        return self.modules.in_order([*SOCKETS, *optional])

    def for_user_space(self) -> list[Path]:
        """Return the modules of a guest whose server drives the NIC, in load order."""
        return self.modules.in_order((UIO,) if self.driver == UIO_DRIVER else VFIO)

    @property
    def driver(self) -> str:
        """The driver that gives the NIC to user space; vfio-pci also needs an IOMMU.

        Raises CannotRunError: the kernel has neither driver.
        """
        if self.modules.has(UIO):
            return UIO_DRIVER
        if self.modules.has(VFIO[0]):
            return VFIO_DRIVER
        raise CannotRunError(f"kernel {self.release} has neither uio_pci_generic nor vfio-pci")


def found() -> bool:
    """Whether the distribution's kernel has been fetched."""
    return _told() is not None


def package() -> str | None:
    """Return the fetched package as name=version; None: no kernel has been fetched."""
    told = _told()
    return told and told[1]


def why_not() -> str | None:
    """Return why no kernel is available here; None: it is here, or can be fetched."""
    if found() or shutil.which("apt-get"):
        return None
    return "there is no kernel for guests, and no apt-get to fetch one with"


def provide() -> Kernel:
    """Return the distribution's kernel; fetch it if missing. Raises CannotRunError."""
    if (told := _told()) is None:
        if (reason := why_not()) is not None:
            raise CannotRunError(reason)
        _fetch()
        told = _told()
    assert told is not None, "a fetched kernel has a stamp"
    return _kernel(*told)


def of(given: str | None) -> Kernel:
    """Return the kernel at the given path; None: the distribution's. Raises CannotRunError."""
    if given is None:
        return provide()
    return _kernel(Path(given).resolve(), None)


def _kernel(image: Path, package: str | None) -> Kernel:
    release, folder = bzimage.read(image)
    return Kernel(image, release, package, Modules(folder))


def _folder() -> Path:
    return cache_dir() / "files" / "guest-kernel"


def _told() -> tuple[Path, str] | None:
    """Return path and package of the fetched kernel; None: no kernel, or another layout."""
    folder = _folder()
    match fetched.stamp(folder):
        case {"image": str(image), "packages": [str(package), *_]}:
            path = folder / "boot" / image
            return (path, package) if path.is_file() else None
    return None


def _fetch() -> None:
    with fetched.fetching() as private:
        if found():
            return
        config = fetched.write_config(private)
        try:
            made, told = fetched.with_lists(
                config, private, lambda lists: _unpack(config, lists, private)
            )
        except CannotRunError as error:
            words = f"the guest's kernel could not be fetched: {error}"
            raise CannotRunError(words) from None
        fetched.publish(made, _folder(), told)


def _unpack(config: Path, lists: Path, private: Path) -> tuple[Path, dict[str, Any]]:
    """Fetch and unpack the packages; return a folder with the kept files, and its stamp."""
    packages = _packages(config, lists)
    whole, made = private / "whole", private / "made"
    for path in (whole, made):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    command = ["apt-get", "-q", "download"]
    uris = fetched.apt(config, lists, *command, "--print-uris", *packages)
    fetched.apt(config, lists, *command, *packages, folder=private)
    versions = []
    for deb, digest in re.findall(r"^'\S+' (\S+\.deb) \d+ (SHA\d+:[0-9a-f]+)$", uris, re.MULTILINE):
        sources.check_hash(private / deb, digest)
        fetched.run(["dpkg-deb", "-x", str(private / deb), str(whole)], private)
        versions.append("=".join(deb.split("_")[:2]))
    if len(versions) != len(packages):
        raise CannotRunError("the package index names no hash for the kernel's packages")
    return made, {"image": _keep(whole, made), "packages": versions}


def _packages(config: Path, lists: Path) -> list[str]:
    """Return the package with the kernel, then the packages with its modules."""
    for newest in _NEWEST:
        try:
            found = _depends(config, lists, newest)
        except CannotRunError:
            continue  # the name of another distribution
        for name in found:  # the list grows by the dependencies of its items
            found += [each for each in _depends(config, lists, name) if each not in found]
        if found:
            return found
    raise CannotRunError(f"apt-get finds none of {', '.join(_NEWEST)}")


def _depends(config: Path, lists: Path, package: str) -> list[str]:
    return named_packages(fetched.apt(config, lists, "apt-cache", "depends", package))


def named_packages(depends: str) -> list[str]:
    """Return the packages of kernels and modules in the output of `apt-cache depends`."""
    found = re.findall(r"^ [ |]Depends: (\S+)$", depends, re.MULTILINE)
    return [name for name in found if _PACKAGE.fullmatch(name)]


def _keep(whole: Path, made: Path) -> str:
    """Copy the kernel and the modules that a guest may need; return the kernel's file name."""
    images = sorted((whole / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise CannotRunError("the kernel's package holds no kernel")
    kernel = _kernel(images[0], None)
    target = made / "lib" / "modules" / kernel.release
    (made / "boot").mkdir()
    shutil.copy2(images[0], made / "boot")
    wanted = [name for name in (*SOCKETS, MMIO, UIO, *VFIO, *HOST) if kernel.modules.has(name)]
    builtin = kernel.modules.folder / "modules.builtin"
    for path in (builtin, *kernel.modules.in_order(wanted)):
        copy = target / path.relative_to(kernel.modules.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    return images[0].name
