"""Made-up cards: /sys as a tree of files, and a simulated kernel that reacts to writes there.

The trees contain only what the code reads, in the layout of kernels: folders of devices with links
into bus, class and IOMMU group. `Kernel.write` replaces pci.write.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ETHERNET, BRIDGE = "0x020000", "0x060400"


@dataclass(frozen=True)
class Card:
    """One function of a card."""

    address: str = "0000:3b:00.1"
    driver: str = "i40e"  # "": no driver
    interfaces: tuple[str, ...] = ("enp59s0f1",)
    group: int | None = 15  # IOMMU group; None: no IOMMU
    override: str = "(null)"
    kind: str = ETHERNET
    virtual_functions: int = 0
    interrupts: tuple[int, ...] = (44, 45, 46)
    queues: int = 2

    @property
    def is_virtio(self) -> bool:
        return self.driver == "virtio-pci"


I40E = Card()
MLX5 = Card("0000:5e:00.0", "mlx5_core", ("enp94s0np0",), 31)
VIRTIO = Card("0000:00:04.0", "virtio-pci", ("ens4",), None)
DRIVERLESS = Card("0000:3b:00.2", "", (), 16)


def build(root: Path, *cards: Card, drivers: tuple[str, ...] = ("vfio-pci",)) -> Path:
    """Write the tree of these cards; return its root."""
    for name in drivers:
        (root / "sys/bus/pci/drivers" / name).mkdir(parents=True)
    for card in cards:
        _card(root, card)
    return root


def _card(root: Path, card: Card) -> None:
    folder = root / "sys/devices/pci0000:00" / card.address
    put(folder / "class", card.kind)
    put(folder / "driver_override", card.override)
    put(folder / "sriov_numvfs", card.virtual_functions)
    for number in card.interrupts:
        put(folder / "msi_irqs" / str(number), "msix")
        put(root / f"proc/irq/{number}/smp_affinity_list", "0-7")
        (root / f"proc/irq/{number}/{card.driver}-{number}").mkdir()
    link(root / "sys/bus/pci/devices" / card.address, folder)
    put(root / "sys/bus/pci/drivers_probe", "")
    if card.group is not None:
        group = root / "sys/kernel/iommu_groups" / str(card.group)
        link(group / "devices" / card.address, folder)
        link(folder / "iommu_group", group)
    if card.driver:
        driver = root / "sys/bus/pci/drivers" / card.driver
        driver.mkdir(parents=True, exist_ok=True)
        link(folder / "driver", driver)
    for name in card.interfaces:
        interface(root, card, name)


def interface(root: Path, card: Card, name: str) -> None:
    """Write the interface that a card's driver makes."""
    device = root / "sys/devices/pci0000:00" / card.address
    device = device / "virtio3" if card.is_virtio else device
    folder = device / "net" / name
    for queue in range(card.queues):
        put(folder / f"queues/rx-{queue}/rps_cpus", "f0")
        put(folder / f"queues/tx-{queue}/xps_cpus", "0f")
    link(folder / "device", device)
    link(root / "sys/class/net" / name, folder)


def put(file: Path, value: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")


def link(name: Path, to: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(to)


class Kernel:
    """Reacts to writes below root as Linux does; binding a driver makes a link, unbinding removes
    it."""

    def __init__(
        self,
        root: Path,
        *cards: Card,
        comes: Callable[[str], None] = lambda name: None,
        goes: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.root = root
        self.cards = {card.address: card for card in cards}
        self.comes, self.goes = comes, goes
        self.refuses: set[str] = set()  # drivers that fail to take a device
        self.modules: set[str] = set()  # drivers that may be loaded
        self.written: list[tuple[str, str]] = []
        self.renames = 0

    def write(self, file: Path, text: str) -> None:
        self.written.append((str(file).rpartition("/sys/bus/pci/")[2], text.strip()))
        if file.name == "driver_override":
            put(file, text.strip() or "(null)")
        elif file.name == "unbind":
            self._unbind(text)
        elif file.name == "bind":
            self._bind(text, file.parent.name)
        elif file.name == "drivers_probe":
            override = (self._folder(text) / "driver_override").read_text().strip()
            self._bind(text, self.cards[text].driver if override == "(null)" else override)
        else:
            put(file, text)

    def load(self, module: str) -> str | None:
        if module not in self.modules:
            return f"no module {module}"
        (self.root / "sys/bus/pci/drivers" / module).mkdir()
        return None

    def unload(self, module: str) -> None:
        if module in self.modules:
            (self.root / "sys/bus/pci/drivers" / module).rmdir()

    def _folder(self, address: str) -> Path:
        return self.root / "sys/bus/pci/devices" / address

    def _unbind(self, address: str) -> None:
        for net in [*self._folder(address).glob("net/*"), *self._folder(address).glob("v*/net/*")]:
            (self.root / "sys/class/net" / net.name).unlink()
            shutil.rmtree(net)
            self.goes(net.name)
        (self._folder(address) / "driver").unlink()

    def _bind(self, address: str, driver: str) -> None:
        if (self._folder(address) / "driver").exists():
            raise OSError(errno.EBUSY, "Device or resource busy")
        if driver in self.refuses:
            return  # a failed probe is reported in the kernel's log only
        link(self._folder(address) / "driver", self.root / "sys/bus/pci/drivers" / driver)
        if driver == self.cards[address].driver:
            self.renames += 1
            for number, _ in enumerate(self.cards[address].interfaces):
                name = f"eth{self.renames}{number}"  # before it is renamed
                self.comes(name)
                interface(self.root, self.cards[address], name)
