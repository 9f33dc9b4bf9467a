"""Hand a NIC to DPDK's own drivers and give it back with driver, interface and addresses.

    interface saved -> override set, old driver unbound, vfio-pci bound -> ... -> all restored

A request is refused in one line if it could take the machine off the network, or take a device that
other users need. vfio-pci needs an IOMMU. Without an IOMMU, uio_pci_generic is used; vfio's
no-IOMMU mode is used only if the administrator has switched it on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nearmetal.errors import CannotRunError
from nearmetal.machine.devices import interface, pci
from nearmetal.machine.journal import Journal
from nearmetal.machine.undo import index_of

_VFIO, _UIO = "vfio-pci", "uio_pci_generic"
_IOMMU = "boot with intel_iommu=on iommu=pt (AMD: iommu=pt)"


@contextmanager
def handed(journal: Journal, its: pci.Device, root: Path = pci.ROOT) -> Iterator[str]:
    """Hand the device over while the body runs. Yields which driver has it, in words."""
    if its.driver in pci.SHARING:
        yield f"{its.driver} shares the card with DPDK"
        return
    if (reason := why_not(its, root)) is not None:
        raise CannotRunError(f"nic {its.address}: {reason}")
    with ExitStack() as stack:
        driver = _driver(stack, journal, its, root)
        (name,) = its.interfaces
        was = interface.seen(name)
        folder = str(its.folder)
        stack.enter_context(remembered(journal, its))
        more = {"old": was.model_dump_json(), "known_by": index_of(name)}
        stack.enter_context(journal.holds("interface", folder, **more))
        old = f"{its.driver}:{its.override}"
        stack.enter_context(journal.holds("driver", folder, old=old, new=driver))
        pci.hand_over(its, driver)
        yield f"{driver} has the card"


@contextmanager
def remembered(journal: Journal, its: pci.Device) -> Iterator[None]:
    """Save the cores of the device's interrupts, and restore them after the body."""
    with journal.holds("interrupts", str(its.folder), old=json.dumps(its.affinities())):
        yield


def why_not(its: pci.Device, root: Path = pci.ROOT) -> str | None:
    """Return why the device must stay with the kernel, or None: it may be handed over."""
    if not its.driver:
        return "the device has no driver, so the kernel has no interface for it"
    if its.driver in pci.HANDING:
        return f"{its.driver} has the device already: bind it to the kernel's driver first"
    names = its.interfaces
    if len(names) != 1:
        found = ", ".join(names) or "none"
        return f"has not one interface but {found}: all would disappear with the driver"
    uppers = (root / "sys/class/net" / names[0]).glob("upper_*")
    if above := sorted(path.name.removeprefix("upper_") for path in uppers):
        return f"{names[0]} is part of {', '.join(above)}: remove it from there first"
    if its.virtual_functions:
        return f"has {its.virtual_functions} virtual functions, which would end with its driver"
    if others := its.beside():
        told = ", ".join(f"{each.address} ({each.driver})" for each in others)
        return (
            f"shares its IOMMU group with {told}, which would have to be handed over too; use"
            ' another slot, or take = "af_xdp", which needs no IOMMU'
        )
    return None


def _driver(stack: ExitStack, journal: Journal, its: pci.Device, root: Path) -> str:
    """Return the driver that can take the device on this machine, loaded."""
    if its.has_iommu or pci.without_iommu_allowed(root):
        _load(stack, journal, _VFIO, root)
        return _VFIO
    try:
        _load(stack, journal, _UIO, root)
    except CannotRunError as error:
        raise CannotRunError(f"{error}; there is no IOMMU for vfio-pci either: {_IOMMU}") from None
    return _UIO


def _load(stack: ExitStack, journal: Journal, driver: str, root: Path) -> None:
    if pci.has_driver(driver, root):
        return
    record = stack.enter_context(journal.holds("module", driver))
    reason = pci.load(driver)
    if reason is None:
        record.came_about("loaded")
    if reason is None and pci.has_driver(driver, root):
        return
    raise CannotRunError(f"this kernel has no driver {driver}" + (f" ({reason})" if reason else ""))
