"""PCI devices as sysfs shows them, and who drives them (Documentation/ABI/testing/sysfs-bus-pci).

Readers and writers take a root, so that tests can show them made-up machines; what the kernel does
when a file is written is behind `write`, so that tests can be that kernel.
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

# Drivers that hand a device to a program.
HANDING = ("vfio-pci", "uio_pci_generic", "igb_uio")
# Drivers of the kernel's that DPDK works beside: the device stays theirs.
SHARING = ("mlx4_core", "mlx5_core")

_BUS = Path("sys/bus/pci")
_BRIDGE = "0x06"  # class: no endpoint, its IOMMU group may keep it (Documentation/driver-api/vfio)
_NO_OVERRIDE = "(null)"
_BACK_S = 10.0


@dataclass(frozen=True)
class Device:
    """One function of a card."""

    folder: Path  # ROOT/sys/bus/pci/devices/0000:3b:00.1; ROOT has proc, too

    @property
    def address(self) -> str:
        return self.folder.name

    @property
    def driver(self) -> str:
        """ "" where it has none."""
        link = self.folder / "driver"
        return link.resolve().name if link.exists() else ""

    @property
    def override(self) -> str:
        """The only driver that may have it, where somebody said so."""
        held = _read(self.folder / "driver_override")
        return "" if held == _NO_OVERRIDE else held

    @property
    def interfaces(self) -> list[str]:
        """The kernel's; of virtio they are a device further down."""
        found = [*self.folder.glob("net/*"), *self.folder.glob("virtio*/net/*")]
        return sorted(path.name for path in found)

    @property
    def interrupts(self) -> list[int]:
        """Its messages (MSI, MSI-X)."""
        return sorted(int(path.name) for path in self.folder.glob("msi_irqs/*"))

    def affinities(self) -> dict[str, str]:
        """Where they come, by the name of who handles each: numbers are given anew."""
        files = self._affinity_files()
        return {name: text for name, file in files.items() if (text := _read(file))}

    def place(self, affinities: dict[str, str]) -> None:
        """Have them come there. Those that the kernel places for good stay."""
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
        """Others that the IOMMU cannot tell from it, and that are in the kernel's use."""
        group = [Device(path) for path in sorted(self.folder.glob("iommu_group/devices/*"))]
        others = [each for each in group if each.address != self.address]
        bridges = [each for each in others if _read(each.folder / "class").startswith(_BRIDGE)]
        return [
            each
            for each in others
            if each not in bridges and each.driver not in ("", "pci-stub", *HANDING)
        ]


def device(address: str, root: Path = ROOT) -> Device | None:
    """None: this machine has none such."""
    folder = root / _BUS / "devices" / address.lower()
    return Device(folder) if folder.exists() else None


def of_interface(iface: str, root: Path = ROOT) -> Device | None:
    """What an interface of the kernel's is made of; None: of no PCI device."""
    folder = (root / "sys/class/net" / iface / "device").resolve()
    for each in (folder, folder.parent):  # virtio's is one further up
        if ADDRESS.fullmatch(each.name):
            return device(each.name, root)
    return None


def has_driver(name: str, root: Path = ROOT) -> bool:
    """Whether the kernel has it now, built in or as a module that is loaded."""
    return (root / _BUS / "drivers" / name).exists()


def without_iommu_allowed(root: Path = ROOT) -> bool:
    """Whether somebody allowed vfio to do without. We never do: a program of it could then read
    and write all memory."""
    mode = root / "sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
    return _read(mode) in ("Y", "1")


def hand_over(its: Device, driver: str) -> None:
    """Have it driven by that one, and by no other."""
    write(its.folder / "driver_override", driver)
    _unbind(its)
    write(_bus(its) / "drivers_probe", its.address)
    if its.driver != driver:
        raise NearmetalError(f"{its.address}: {driver} did not take it (see the kernel's log)")


def give_back(its: Device, driver: str, override: str) -> None:
    """Have it driven as it was; "": by none. Doing it twice is the same as once."""
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
    """Its interface, once its driver has made one."""
    deadline = time.monotonic() + _BACK_S
    while not (found := its.interfaces):
        if time.monotonic() > deadline:
            raise NearmetalError(
                f"{its.address}: {its.driver or 'its driver'} made no interface for {_BACK_S:.0f} s"
            )
        time.sleep(0.05)
    return found[0]


def load(module: str) -> str | None:
    """A driver. Why not; None: done."""
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
    """One that is in use stays: somebody else needs it."""
    with contextlib.suppress(FileNotFoundError):  # nor could it be loaded, then
        subprocess.run(["modprobe", "-r", module], check=False, capture_output=True)


def write(file: Path, text: str) -> None:
    """All that is written goes by here."""
    file.write_text(text, encoding="ascii")


def _unbind(its: Device) -> None:
    if its.driver:
        write(its.folder / "driver" / "unbind", its.address)


def _bus(its: Device) -> Path:
    """Where the bus itself is told something."""
    return its.folder.parent.parent


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""
