"""Where `serve` and `switch` put a DPDK port: a link of the kernel's, a PCI device, or a veth pair.

A link is shared with the kernel by net_af_packet: the kernel still sees every frame, so the address
to answer for must not be the kernel's own. A PCI device is DPDK's alone. Neither may be what this
machine reaches the rest of the world by.
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

# How DPDK takes a NIC: shared with the kernel, by its XDP sockets, or as a PCI device of its own.
Take = Literal["af_packet", "af_xdp", "dpdk"]


_UNICAST = 1  # RTN_UNICAST, rtnetlink(7)


@dataclass(frozen=True)
class Port:
    """A port for a DPDK program."""

    eal: tuple[str, ...]  # its EAL arguments: the device, and no other
    where: Where  # where the program must run to see it
    wire: Wire | None  # the pair that was made for it


def check_listen(nic: str, address: str) -> None:
    """A server on a link must not answer for an address that the kernel answers for too."""
    with IPRoute() as route:
        own = {entry.get("address") for entry in route.get_addr(socket.AF_INET)}
    if address in own or address.startswith("127."):
        raise BadInputError(
            f"--listen {address}: the kernel answers for it itself; give a free address of the"
            f" network at {nic}"
        )


@contextmanager
def port(nic: str | None, journal: Journal) -> Iterator[Port]:
    """A port on a NIC, or on a veth pair that is made for it and taken down at the end."""
    if nic is not None:
        yield Port(_device(nic), Where(), None)
        return
    if (reason := tried.pair_why_not() or tried.raw_why_not()) is not None:
        raise CannotRunError(f"a DPDK port on a veth pair: {reason}")
    with netns.tapped(journal, here=True) as wire:
        # What reads frames past the kernel would find the sums unfinished.
        offloads.tx_checksums_on_send(wire.tg)
        yield Port(link(wire.sut.iface), Where(wire.sut.netns), wire)


@contextmanager
def memory(journal: Journal, store_bytes: int = 0) -> Iterator[int]:
    """Bytes of huge pages that are set aside for DPDK and a store; 0: there are too few for both,
    and small pages do."""
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
    """A link of the kernel's, as EAL arguments."""
    return ("--no-pci", "--vdev", f"net_af_packet0,iface={iface}")


def taken(take: Take, iface: str) -> tuple[str, ...]:
    """A data NIC, as EAL arguments; by `dpdk` the name is a PCI address."""
    if take == "dpdk":
        return ("-a", iface)
    if take == "af_xdp":
        return ("--no-pci", "--vdev", f"net_af_xdp0,iface={iface}")
    return link(iface)


def _check_link(iface: str, root: Path = Path("/")) -> None:
    if iface == "lo":
        raise BadInputError("--nic lo: has no Ethernet; without --nic a veth pair is made")
    if not (root / "sys/class/net" / iface).exists() or "/" in iface:
        raise BadInputError(f"--nic {iface}: no such interface, and no PCI address as 0000:03:00.0")
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
    """The driver of an interface, or its kind where it has no device."""
    device = Path("/sys/class/net") / iface / "device/driver"
    if device.exists():
        return device.resolve().name
    with IPRoute() as route:
        (link,) = route.get_links(ifname=iface)
        information = link.get("linkinfo")
    return str(information.get("kind")) if information else "unknown"


def carries_default_route(iface: str) -> bool:
    """Whether the machine reaches the rest of the world by it: by a default route of any table, or
    by a VPN's halves of one."""
    with IPRoute() as route:
        indexes = set(route.link_lookup(ifname=iface))
        for family in (socket.AF_INET, socket.AF_INET6):
            for entry in filter(_is_wide, route.get_routes(family)):
                hops = entry.get("multipath") or ()
                if indexes & {entry.get("oif"), *(hop.get("oif") for hop in hops)}:
                    return True
    return False


def _is_wide(entry: Any) -> bool:
    """Of the routes that packets may go by; others are there to refuse them, or are local."""
    return entry["type"] == _UNICAST and networks.is_wide(entry["dst_len"])
