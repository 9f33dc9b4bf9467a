"""Ports for DPDK in `serve` and `switch`: a kernel link, a PCI device, or a veth pair.

net_af_packet shares a link with the kernel: the kernel still sees every frame, so the server's
address must not be the kernel's own. A PCI device belongs to DPDK alone. Neither may carry this
machine's default route.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pyroute2 import IPRoute

from nearmetal.errors import BadInputError, CannotRunError
from nearmetal.machine.devices import pci
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import eal, netns, networks, offloads, tried
from nearmetal.machine.links.netns import Wire
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes.process import Where

# How DPDK uses a NIC: shared with the kernel, by XDP sockets, or as a PCI device of its own.
Take = Literal["af_packet", "af_xdp", "dpdk"]


_UNICAST = 1  # RTN_UNICAST, rtnetlink(7)


@dataclass(frozen=True)
class Port:
    """A port for a DPDK program, as EAL arguments and a namespace."""

    eal: tuple[str, ...]  # EAL arguments that name this device and no other
    where: Where  # the namespace in which the program sees the device
    wire: Wire | None  # the pair that was made for the port


def check_listen(nic: str, address: str) -> None:
    """Check that the kernel does not answer for this address. BadInputError: it does."""
    with IPRoute() as route:
        own = {entry.get("address") for entry in route.get_addr(socket.AF_INET)}
    if address in own or address.startswith("127."):
        raise BadInputError(
            f"--listen {address}: the kernel answers for it itself; give a free address of the"
            f" network at {nic}"
        )


@contextmanager
def port(nic: str | None, journal: Journal) -> Iterator[Port]:
    """Yield a port on a NIC, or on a veth pair that is made for it and removed after the body."""
    if nic is not None:
        yield Port(_device(nic), Where(), None)
        return
    if (reason := tried.pair_why_not() or tried.raw_why_not()) is not None:
        raise CannotRunError(f"a DPDK port on a veth pair: {reason}")
    with netns.tapped(journal, here=True) as wire:
        # A program that reads frames past the kernel's stack would see unfinished checksums.
        offloads.tx_checksums_on_send(wire.tg)
        yield Port(link(wire.sut.iface), Where(wire.sut.netns), wire)


@contextmanager
def memory(journal: Journal, store_bytes: int = 0) -> Iterator[int]:
    """Reserve huge pages for DPDK and a store; yield the free bytes, or 0 if there are too few.

    With 0 the program uses small pages.
    """
    wanted = eal.MEMORY_BYTES + hugepages.pages(store_bytes) * hugepages.PAGE_BYTES
    with hugepages.reserved(journal, wanted) as free_bytes:
        yield free_bytes if free_bytes >= wanted else 0


def _device(nic: str) -> tuple[str, ...]:
    if pci.ADDRESS.fullmatch(nic):
        _check_pci(nic.lower())
        return ("-a", nic.lower())
    _check_link(nic)
    if (reason := tried.raw_why_not()) is not None:
        raise CannotRunError(f"a DPDK port on {nic}: {reason}")
    return link(nic)


def link(iface: str) -> tuple[str, ...]:
    """Return the EAL arguments for a kernel link."""
    return ("--no-pci", "--vdev", f"net_af_packet0,iface={iface}")


def taken(take: Take, iface: str) -> tuple[str, ...]:
    """Return the EAL arguments for a data NIC; with `dpdk` the name is a PCI address."""
    if take == "dpdk":
        return ("-a", iface)
    if take == "af_xdp":
        return ("--no-pci", "--vdev", f"net_af_xdp0,iface={iface}")
    return link(iface)


def _check_link(iface: str, root: Path = Path("/")) -> None:
    if iface == "lo":
        raise BadInputError("--nic lo: has no Ethernet; without --nic a veth pair is made")
    if not (root / "sys/class/net" / iface).exists() or "/" in iface:
        raise BadInputError(f"--nic {iface}: no such interface; a PCI address is 0000:03:00.0")
    _check_default_route(iface, iface)
    with IPRoute() as route:
        (link,) = route.get_links(ifname=iface)
        if link.get("state") != "up":
            raise CannotRunError(f"--nic {iface}: is down; bring it up: ip link set {iface} up")


def _check_pci(address: str, root: Path = Path("/")) -> None:
    device = pci.device(address, root)
    if device is None:
        raise BadInputError(f"--nic {address}: no such PCI device")
    for iface in device.interfaces:
        _check_default_route(address, iface)
    if device.driver not in (*pci.HANDING, *pci.SHARING):
        raise CannotRunError(
            f"--nic {address}: its driver is {device.driver or 'none'}; bind it to vfio-pci first:"
            f" dpdk-devbind.py --bind=vfio-pci {address}"
        )


def _check_default_route(nic: str, iface: str) -> None:
    if carries_default_route(iface):
        raise BadInputError(
            f"--nic {nic}: {iface} carries this machine's default route; give another"
        )


def driver(iface: str) -> str:
    """Return the driver of an interface, or the kind of a link without a device."""
    device = Path("/sys/class/net") / iface / "device/driver"
    if device.exists():
        return device.resolve().name
    with IPRoute() as route:
        (link,) = route.get_links(ifname=iface)
        information = link.get("linkinfo")
    return str(information.get("kind")) if information else "unknown"


def carries_default_route(iface: str) -> bool:
    """Whether the interface carries a default route of any table, or one half of a VPN's default
    route."""
    with IPRoute() as route:
        indexes = set(route.link_lookup(ifname=iface))
        for family in (socket.AF_INET, socket.AF_INET6):
            for entry in filter(_is_wide, route.get_routes(family)):
                hops = entry.get("multipath") or ()
                if indexes & {entry.get("oif"), *(hop.get("oif") for hop in hops)}:
                    return True
    return False


def _is_wide(entry: Any) -> bool:
    """Whether packets may leave by this wide route; others refuse packets or are local."""
    return entry["type"] == _UNICAST and networks.is_wide(entry["dst_len"])
