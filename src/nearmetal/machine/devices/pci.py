"""PCI devices in sysfs, and their drivers (Documentation/ABI/testing/sysfs-bus-pci).

Functions take a root folder, so that tests can pass a made-up machine. All writes use `write`, so
that tests can do what the kernel would do.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from nearmetal.errors import NearmetalError

ROOT = Path("/")
ADDRESS = re.compile(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]")

# Drivers that give a device to a user-space program.
HANDING = ("vfio-pci", "uio_pci_generic", "igb_uio")
# Kernel drivers that DPDK works beside: the kernel keeps the device.
SHARING = ("mlx4_core", "mlx5_core")

_BUS = Path("sys/bus/pci")
_BRIDGE = "0x06"  # class: no endpoint, may stay in the IOMMU group (Documentation/driver-api/vfio)
_NO_OVERRIDE = "(null)"
_BACK_S = 10.0


@dataclass(frozen=True)
class Device:
    """One function of a PCI card."""

    folder: Path  # ROOT/sys/bus/pci/devices/0000:3b:00.1; ROOT also has proc

    @property
    def address(self) -> str:
        return self.folder.name

    @property
    def driver(self) -> str:
        """Name of the driver, or "" if there is none."""
        link = self.folder / "driver"
        return link.resolve().name if link.exists() else ""

    @property
    def override(self) -> str:
        """Name of the only driver that may take the device, or "" if none is set."""
        held = _read(self.folder / "driver_override")
        return "" if held == _NO_OVERRIDE else held

    @property
    def interfaces(self) -> list[str]:
        """Names of the kernel's interfaces; those of virtio belong to a sub-device."""
        found = [*self.folder.glob("net/*"), *self.folder.glob("virtio*/net/*")]
        return sorted(path.name for path in found)

    @property
    def interrupts(self) -> list[int]:
        """Numbers of the device's message interrupts (MSI, MSI-X)."""
        return sorted(int(path.name) for path in self.folder.glob("msi_irqs/*"))

    def affinities(self) -> dict[str, str]:
        """Map each interrupt's handler to its cores; handler names outlive interrupt numbers."""
        files = self._affinity_files()
        return {name: text for name, file in files.items() if (text := _read(file))}

    def place(self, affinities: dict[str, str]) -> None:
        """Set these cores for the interrupts. The kernel does not let some of them move."""
        for name, file in self._affinity_files().items():
            if name in affinities and _read(file) != affinities[name]:
                with contextlib.suppress(OSError):
                    write(file, affinities[name])

    def _affinity_files(self) -> dict[str, Path]:
        root = self.folder.parents[4]
        folders = [root / f"proc/irq/{number}" for number in self.interrupts]
        named = [(path, each) for each in folders for path in each.glob("*") if path.is_dir()]
        return {path.name: each / "smp_affinity_list" for path, each in named}

    @property
    def virtual_functions(self) -> int:
        return int(_read(self.folder / "sriov_numvfs") or 0)

    @property
    def has_iommu(self) -> bool:
        return (self.folder / "iommu_group").exists()

    def beside(self) -> list[Device]:
        """Return other devices of the same IOMMU group that the kernel uses."""
        group = [Device(path) for path in sorted(self.folder.glob("iommu_group/devices/*"))]
        others = [each for each in group if each.address != self.address]
        bridges = [each for each in others if _read(each.folder / "class").startswith(_BRIDGE)]
        return [
            each
            for each in others
            if each not in bridges and each.driver not in ("", "pci-stub", *HANDING)
        ]


def device(address: str, root: Path = ROOT) -> Device | None:
    """Return the PCI device, or None if this machine does not have it."""
    folder = root / _BUS / "devices" / address.lower()
    return Device(folder) if folder.exists() else None


def of_interface(iface: str, root: Path = ROOT) -> Device | None:
    """Return the PCI device of a kernel interface, or None if it has none."""
    folder = (root / "sys/class/net" / iface / "device").resolve()
    for each in (folder, folder.parent):  # for virtio the PCI device is the parent
        if ADDRESS.fullmatch(each.name):
            return device(each.name, root)
    return None


def has_driver(name: str, root: Path = ROOT) -> bool:
    """Whether the kernel has the driver now: built in or as a loaded module."""
    return (root / _BUS / "drivers" / name).exists()


def without_iommu_allowed(root: Path = ROOT) -> bool:
    """Whether an administrator allowed vfio to work without an IOMMU.

    nearmetal never allows it: a program with such a device could read and write all memory.
    """
    mode = root / "sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
    return _read(mode) in ("Y", "1")


def hand_over(its: Device, driver: str) -> None:
    """Bind the device to this driver, and to no other."""
    write(its.folder / "driver_override", driver)
    _unbind(its)
    write(_bus(its) / "drivers_probe", its.address)
    if its.driver != driver:
        raise NearmetalError(
            f"{its.address}: {driver} did not take the card (see the kernel's log)"
        )


def give_back(its: Device, driver: str, override: str) -> None:
    """Bind the device to its former driver ("": to none). May be repeated."""
    if not its.folder.exists():
        return  # the card was taken out
    if its.override != override:
        write(its.folder / "driver_override", override or "\n")
    if its.driver == driver:
        return
    _unbind(its)
    if driver:
        write(_bus(its) / "drivers" / driver / "bind", its.address)


def wait_interface(its: Device) -> str:
    """Return the device's interface once its driver has made one."""
    deadline = time.monotonic() + _BACK_S
    while not (found := its.interfaces):
        if time.monotonic() > deadline:
            raise NearmetalError(
                f"{its.address}: {its.driver or 'its driver'} made no interface for {_BACK_S:.0f} s"
            )
        time.sleep(0.05)
    return found[0]


def load(module: str) -> str | None:
    """Load a kernel module. Return the reason of a failure, or None."""
    try:
        done = subprocess.run(
            ["modprobe", module],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        return "there is no modprobe"
    return " ".join(done.stderr.split()) or "modprobe failed" if done.returncode else None


def unload(module: str) -> None:
    """Unload a kernel module. A module that is in use stays."""
    with contextlib.suppress(FileNotFoundError):  # no modprobe: so it was not loaded here
        subprocess.run(["modprobe", "-r", module], check=False, capture_output=True)


def write(file: Path, text: str) -> None:
    """Write text to a file. All writes to sysfs use this function."""
    file.write_text(text, encoding="ascii")


def _unbind(its: Device) -> None:
    if its.driver:
        write(its.folder / "driver" / "unbind", its.address)


def _bus(its: Device) -> Path:
    """Return the folder of the bus itself."""
    return its.folder.parent.parent


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""
