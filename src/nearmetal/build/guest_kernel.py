"""The guest's kernel: the distribution's own for virtual machines, fetched as a file.

Nothing is installed: its package is fetched with a package-manager state of our own, checked
against the hash in the package index, and unpacked; the kernel and the modules that a guest may
need are kept in the cache. Another kernel may be given by its path; its modules are those beside
it (../lib/modules, ../usr/lib/modules) or this machine's.
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

# The names under which distributions keep the newest one: Debian's, Ubuntu's.
_NEWEST = ("linux-image-cloud-amd64", "linux-image-virtual")
_PACKAGE = re.compile(r"linux-(?:image|modules)-\d[\w.+-]*")

SOCKETS = ("virtio_pci", "virtio_net")
MMIO = "virtio_mmio"  # of machines without PCI
UIO = "uio_pci_generic"
VFIO = ("vfio_pci", "vfio_iommu_type1")
HOST = ("tun", "vhost_net")  # of a machine that has guests of its own
UIO_DRIVER, VFIO_DRIVER = "uio_pci_generic", "vfio-pci"


@dataclass(frozen=True)
class Kernel:
    """A kernel that a guest can run."""

    image: Path  # a bzImage
    release: str
    package: str | None  # name=version; None: it was given
    modules: Modules

    def for_sockets(self) -> list[Path]:
        """The modules of a guest whose kernel has the NIC."""
        optional = [MMIO] if self.modules.has(MMIO) else []
        return self.modules.in_order([*SOCKETS, *optional])

    def for_user_space(self) -> list[Path]:
        """The modules of a guest whose server has the NIC."""
        return self.modules.in_order((UIO,) if self.driver == UIO_DRIVER else VFIO)

    @property
    def driver(self) -> str:
        """Who hands the NIC to user space: vfio wants an IOMMU besides."""
        if self.modules.has(UIO):
            return UIO_DRIVER
        if self.modules.has(VFIO[0]):
            return VFIO_DRIVER
        raise CannotRunError(f"kernel {self.release} has neither uio_pci_generic nor vfio-pci")


def found() -> bool:
    """Whether the distribution's was fetched before."""
    return _told() is not None


def package() -> str | None:
    """The package that was fetched, as name=version; None: none was yet."""
    told = _told()
    return told and told[1]


def why_not() -> str | None:
    """Why no kernel can be had here; None: it is there, or can be fetched."""
    if found() or shutil.which("apt-get"):
        return None
    return "no kernel for guests is here, and there is no apt-get to fetch it with"


def provide() -> Kernel:
    """The distribution's, fetched when it is not there."""
    if (told := _told()) is None:
        if (reason := why_not()) is not None:
            raise CannotRunError(reason)
        _fetch()
        told = _told()
    assert told is not None, "what is fetched has its stamp"
    return _kernel(*told)


def of(given: str | None) -> Kernel:
    """The one that the user names, or the distribution's."""
    if given is None:
        return provide()
    return _kernel(Path(given).resolve(), None)


def _kernel(image: Path, package: str | None) -> Kernel:
    release, folder = bzimage.read(image)
    return Kernel(image, release, package, Modules(folder))


def _folder() -> Path:
    return cache_dir() / "files" / "guest-kernel"


def _told() -> tuple[Path, str] | None:
    """The kernel that was fetched, and its package; None: none was, or in another layout."""
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
    """A folder with what is kept of the packages, and what its stamp says."""
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
    """The package with the kernel first, then those that it needs for its modules."""
    for newest in _NEWEST:
        try:
            found = _depends(config, lists, newest)
        except CannotRunError:
            continue  # another distribution's name
        for name in found:  # grows: what these need in turn
            found += [each for each in _depends(config, lists, name) if each not in found]
        if found:
            return found
    raise CannotRunError(f"apt-get knows none of {', '.join(_NEWEST)}")


def _depends(config: Path, lists: Path, package: str) -> list[str]:
    return named_packages(fetched.apt(config, lists, "apt-cache", "depends", package))


def named_packages(depends: str) -> list[str]:
    """The kernels and their modules among what `apt-cache depends` shows."""
    found = re.findall(r"^ [ |]Depends: (\S+)$", depends, re.MULTILINE)
    return [name for name in found if _PACKAGE.fullmatch(name)]


def _keep(whole: Path, made: Path) -> str:
    """Copy the kernel and the modules that a guest may need; returns the kernel's name."""
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
