"""Hand a NIC to DPDK's own drivers, and give it back: driver, interface, addresses and all.

    interface written down -> override set, old driver off, vfio-pci on -> ... -> and back

What could take the machine off the network, or somebody else's device with it, is refused in one
line. vfio-pci wants an IOMMU. Where there is none, uio_pci_generic does without; so could vfio, in
a mode that is switched on by its user, or not at all.
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
    """For as long as the body runs. Tells by which driver, in words."""
    if its.driver in pci.SHARING:
        yield f"{its.driver} shares it with DPDK"
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
        yield f"{driver} has it"


@contextmanager
def remembered(journal: Journal, its: pci.Device) -> Iterator[None]:
    """Where its interrupts come, whatever becomes of them in between."""
    with journal.holds("interrupts", str(its.folder), old=json.dumps(its.affinities())):
        yield


def why_not(its: pci.Device, root: Path = pci.ROOT) -> str | None:
    """Why it must stay the kernel's; None: it may be handed over."""
    if not its.driver:
        return "it has no driver: the kernel has no interface there"
    if its.driver in pci.HANDING:
        return f"{its.driver} has it already: give it back to the kernel's driver first"
    names = its.interfaces
    if len(names) != 1:
        found = ", ".join(names) or "none"
        return f"has not one interface but {found}: they would all go"
    uppers = (root / "sys/class/net" / names[0]).glob("upper_*")
    if above := sorted(path.name.removeprefix("upper_") for path in uppers):
        return f"{names[0]} is part of {', '.join(above)}: take it out first"
    if its.virtual_functions:
        return f"has {its.virtual_functions} virtual functions, which would go with its driver"
    if others := its.beside():
        told = ", ".join(f"{each.address} ({each.driver})" for each in others)
        return (
            f"shares its IOMMU group with {told}, which would have to be handed over too; another"
            ' slot, or take = "af_xdp", does without'
        )
    return None


def _driver(stack: ExitStack, journal: Journal, its: pci.Device, root: Path) -> str:
    """Which one takes it here, loaded."""
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
