"""A machine's data NIC, as a rung wants it, and put back as it was.

Kernel rungs and socket generators want the interface up, with its address. A frame rung on
af_packet wants it up and without: else the kernel would answer beside it. Who is asked by such a
rung must finish his checksums when sending, where the cable is a veth.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute

from nearmetal import nic
from nearmetal.errors import NearmetalError
from nearmetal.lab import ethtool, steering
from nearmetal.lab.journal import Journal, changed

_NET = Path("/sys/class/net")
_UP, _PROMISC = 0x1, 0x100  # linux/if.h
_CARRIER_S = 10.0
_ARP_AGAIN_MS = 10  # the kernel's second would be the start of every server that answers ARP itself


@dataclass(frozen=True)
class Wanted:
    """How the next rung wants it."""

    nic: str
    address: str  # with its prefix
    frames: bool  # a frame datapath takes what arrives: the kernel has no address here
    checksums: bool  # to be made when sending
    receive_cpu: int | None  # where a veth's receive processing is to be done


@contextmanager
def prepared(journal: Journal, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Set it; tells what it is."""
    _check(wanted.nic)
    driver = _driver(wanted.nic)
    with ExitStack() as stack:
        _address(stack, journal, wanted)
        _flags(stack, journal, wanted)
        if wanted.checksums and driver == "veth":
            _offload(stack, journal, wanted.nic, "tx_checksum", on=False)
        if wanted.checksums:  # a generator's: it asks for a server that is about to start
            retrans = Path("/proc/sys/net/ipv4/neigh") / wanted.nic / "retrans_time_ms"
            stack.enter_context(changed(journal, retrans, str(_ARP_AGAIN_MS)))
        notes = []
        if wanted.receive_cpu is not None and driver == "veth":
            _offload(stack, journal, wanted.nic, "gro", on=True)
            notes.append(_receive(stack, journal, wanted.nic, wanted.receive_cpu))
        yield {"driver": driver, "mac": _read(wanted.nic, "address"), "notes": notes}


def _check(iface: str) -> None:
    known = sorted(path.name for path in _NET.iterdir() if path.name != "lo")
    if iface not in known:
        raise NearmetalError(f"nic {iface}: no such interface (there are: {', '.join(known)})")
    if nic.carries_default_route(iface):
        raise NearmetalError(f"nic {iface}: carries the machine's default route; name the data NIC")


def _address(stack: ExitStack, journal: Journal, wanted: Wanted) -> None:
    there = wanted.address in addresses(wanted.nic)
    if there != wanted.frames:
        return  # kernel: it is there; frames: it is not
    old = "there" if there else "absent"
    stack.enter_context(journal.holds("address", wanted.address, old=old, inside=wanted.nic))
    interface = ipaddress.IPv4Interface(wanted.address)
    with IPRoute() as route:
        (index,) = route.link_lookup(ifname=wanted.nic)
        route.addr(
            "del" if there else "add",
            index=index,
            address=str(interface.ip),
            prefixlen=interface.network.prefixlen,
        )


def addresses(iface: str) -> list[str]:
    """As 10.10.0.1/24."""
    with IPRoute() as route:
        (index,) = route.link_lookup(ifname=iface)
        found = route.get_addr(socket.AF_INET, index=index)
    return [f"{each.get('address')}/{each['prefixlen']}" for each in found]


def _offload(
    stack: ExitStack, journal: Journal, iface: str, feature: ethtool.Feature, *, on: bool
) -> None:
    before = ethtool.has(iface, feature)
    if before == on:
        return
    old = "on" if before else "off"
    stack.enter_context(journal.holds("offload", feature, old=old, inside=iface))
    ethtool.switch(iface, feature, on)


def _receive(stack: ExitStack, journal: Journal, iface: str, cpu: int) -> str:
    """Receive processing of a veth, by a kernel thread on this core; see lab/steering.py."""
    known = set(steering.napi_threads(iface))
    stack.enter_context(changed(journal, _NET / iface / "threaded", "1"))
    threads = set(steering.napi_threads(iface)) - known
    for thread in threads:
        os.sched_setaffinity(thread, {cpu})
    return f"receive processing in a kernel thread on core {cpu}" if threads else ""


def _driver(iface: str) -> str:
    device = _NET / iface / "device" / "driver"
    if device.exists():
        return device.resolve().name
    with IPRoute() as route:
        (link,) = route.get_links(ifname=iface)
        information = link.get("linkinfo")
    return str(information.get("kind")) if information else "unknown"


def _flags(stack: ExitStack, journal: Journal, wanted: Wanted) -> None:
    """Up. Who takes frames himself may listen to all of them, and leave it so."""
    flags = int(_read(wanted.nic, "flags"), 16)
    if wanted.frames and not flags & _PROMISC:
        stack.enter_context(journal.holds("flag", "promisc", inside=wanted.nic))
    if not flags & _UP:
        stack.enter_context(journal.holds("flag", "up", inside=wanted.nic))
        with IPRoute() as route:
            route.link("set", index=route.link_lookup(ifname=wanted.nic)[0], state="up")


def forget(iface: str, addr: str) -> None:
    """A server's address may have another MAC each time; the kernel would believe the last one for
    half a minute."""
    with IPRoute() as route:
        (index,) = route.link_lookup(ifname=iface)
        for entry in route.get_neighbours(socket.AF_INET, ifindex=index):
            if entry.get("dst") == addr:
                route.neigh("del", dst=addr, ifindex=index)


def wait_carrier(iface: str, timeout_s: float = _CARRIER_S) -> None:
    """Until the link stands; a NIC may take seconds after it was set up."""
    deadline = time.monotonic() + timeout_s
    while _read(iface, "carrier") != "1":
        if time.monotonic() > deadline:
            raise NearmetalError(f"nic {iface}: no carrier for {timeout_s:.0f} s; is the cable in?")
        time.sleep(0.05)


def _read(iface: str, name: str) -> str:
    return (_NET / iface / name).read_text(encoding="ascii").strip()
