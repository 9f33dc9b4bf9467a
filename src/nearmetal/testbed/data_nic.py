"""A machine's data NIC: set up for a rung, and restored afterwards.

Kernel rungs and socket generators need the interface up, with its address. A frame rung on
af_packet or af_xdp needs the interface up without the address: else the kernel would answer too.
With DPDK's own drivers the rung needs the card itself, and the kernel has no interface meanwhile.
If the cable is a veth, a generator that sends to a frame rung must compute checksums in software.
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

from pyroute2 import IPRoute

from nearmetal.errors import CannotRunError, NearmetalError
from nearmetal.machine.cores import cpus
from nearmetal.machine.devices import ethtool, pci
from nearmetal.machine.journal import Journal, changed
from nearmetal.machine.links import binding, nic, steering
from nearmetal.machine.links.nic import Take
from nearmetal.testbed import queues

_ROOT = Path("/")
_NET = Path("/sys/class/net")
_UP, _PROMISC = 0x1, 0x100  # linux/if.h
_CARRIER_S = 10.0
_ARP_AGAIN_MS = 10  # the kernel's 1 s would delay the start of each server that answers ARP itself


@dataclass(frozen=True)
class Wanted:
    """The state of the NIC that the next rung needs."""

    nic: str  # an interface, or a PCI address
    address: str  # with its prefix
    frames: bool  # a frame datapath reads the frames: the kernel must not have the address
    checksums: bool  # compute checksums in software when sending
    receive_cpu: int | None  # core for receive processing
    take: Take = "af_packet"  # how a frame datapath uses the NIC
    rings: queues.Entries | None = None  # entries of the rings; None: do not change
    one_queue: bool = False


@dataclass(frozen=True)
class Port:
    """A prepared data NIC."""

    iface: str
    driver: str
    mac: str
    eal: tuple[str, ...]  # EAL arguments for DPDK
    notes: tuple[str, ...]


@contextmanager
def prepared(journal: Journal, wanted: Wanted) -> Iterator[Port]:
    """Set the NIC up while the body runs. Yields its properties."""
    iface = named(wanted.nic)
    _check(iface)
    driver, mac = nic.driver(iface), _read(iface, "address")
    take, device = wanted.take if wanted.frames else "af_packet", iface
    with ExitStack() as stack:
        notes = []
        if take == "dpdk":
            device, words = _hand(stack, journal, iface, driver)
            notes.append(words)
        if take != "dpdk" or driver in pci.SHARING:
            _address(stack, journal, iface, wanted)
            _flags(stack, journal, iface, wanted)
            if wanted.checksums:  # for a generator: it sends to a server that is about to start
                retrans = Path("/proc/sys/net/ipv4/neigh") / iface / "retrans_time_ms"
                stack.enter_context(changed(journal, retrans, str(_ARP_AGAIN_MS)))
            notes += _of_kernel(stack, journal, iface, driver, wanted)
        if take == "af_xdp":
            _xdp(stack, journal, iface)
            notes.append("taken by XDP sockets")
        yield Port(iface, driver, mac, nic.taken(take, device), tuple(notes))


def _hand(stack: ExitStack, journal: Journal, iface: str, driver: str) -> tuple[str, str]:
    """Hand the card to DPDK's own driver. Return its PCI address, and in words who has it."""
    its = pci.of_interface(iface)
    if its is None:
        raise CannotRunError(f'nic {iface} ({driver}): not a PCI device, so not for take = "dpdk"')
    return its.address, f"{stack.enter_context(binding.handed(journal, its))}; DPDK polls it"


def named(name: str, root: Path = _ROOT) -> str:
    """Return the name of the interface that a machine file names, perhaps by its PCI address."""
    if not pci.ADDRESS.fullmatch(name):
        return name
    its = pci.device(name, root)
    if its is None:
        raise NearmetalError(f"nic {name}: this machine has no such PCI device")
    found = its.interfaces
    if len(found) == 1:
        return found[0]
    if found:
        raise NearmetalError(f"nic {name}: has several interfaces; name one: {', '.join(found)}")
    who = f"its driver is {its.driver}" if its.driver else "it has no driver"
    raise NearmetalError(f"nic {name}: the kernel has no interface there ({who}); bind a driver")


def _check(iface: str) -> None:
    known = sorted(path.name for path in _NET.iterdir() if path.name != "lo")
    if iface not in known:
        raise NearmetalError(f"nic {iface}: no such interface (there are: {', '.join(known)})")
    if nic.carries_default_route(iface):
        raise NearmetalError(f"nic {iface}: carries the machine's default route; name the data NIC")
    ours = os.environ.get("SSH_CONNECTION", "").split()  # sshd(8): client, port, server, port
    if len(ours) == 4 and any(each.partition("/")[0] == ours[2] for each in addresses(iface)):
        raise NearmetalError(f"nic {iface}: carries our SSH connection ({ours[2]}); name another")


def _of_kernel(
    stack: ExitStack, journal: Journal, iface: str, driver: str, wanted: Wanted
) -> Iterator[str]:
    """Set up the kernel's part: checksums, queues, receive processing. Yields notes."""
    if driver == "veth":
        if wanted.checksums:
            _offload(stack, journal, iface, "tx_checksum", on=False)
        if wanted.receive_cpu is None or wanted.frames:
            yield "a veth: no rings, no interrupts; the sender's core does receive processing"
            return
        _offload(stack, journal, iface, "gro", on=True)
        yield _receive(stack, journal, iface, wanted.receive_cpu)
        return
    its = pci.of_interface(iface)
    if its is not None and (wanted.rings is not None or wanted.one_queue):
        stack.enter_context(binding.remembered(journal, its))  # the driver may make new ones
    if wanted.rings is not None:
        yield queues.rings(stack, journal, iface, wanted.rings)
    if wanted.one_queue:
        yield queues.one(stack, journal, iface)
    if wanted.receive_cpu is None:
        yield queues.left_alone(iface, _ROOT)
    else:
        yield queues.on_core(stack, journal, iface, wanted.receive_cpu, _ROOT)


def _xdp(stack: ExitStack, journal: Journal, iface: str) -> None:
    """Record the XDP program that DPDK will attach, which it detaches only after an orderly end."""
    channels = ethtool.channels(iface)
    if channels is not None and channels.queues > 1:
        raise CannotRunError(
            f"nic {iface}: {channels.queues} queues, which its driver keeps; af_xdp needs one"
        )
    with IPRoute() as route:
        (link,) = route.get_links(ifname=iface)
        there = link.get("xdp")
    if there is not None and there.get("IFLA_XDP_ATTACHED"):
        raise CannotRunError(f"nic {iface}: another XDP program is attached; detach it first")
    stack.enter_context(journal.holds("xdp", iface))


def _address(stack: ExitStack, journal: Journal, iface: str, wanted: Wanted) -> None:
    there = wanted.address in addresses(iface)
    if there != wanted.frames:
        return  # a kernel rung finds the address there, a frame rung finds it absent
    old = "there" if there else "absent"
    stack.enter_context(journal.holds("address", wanted.address, old=old, inside=iface))
    interface = ipaddress.IPv4Interface(wanted.address)
    with IPRoute() as route:
        (index,) = route.link_lookup(ifname=iface)
        route.addr(
            "del" if there else "add",
            index=index,
            address=str(interface.ip),
            prefixlen=interface.network.prefixlen,
        )


def addresses(iface: str) -> list[str]:
    """Return the IPv4 addresses of the interface, e.g. 10.10.0.1/24."""
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
    """Do a veth's receive processing in a kernel thread on this core (links/steering.py)."""
    known = set(steering.napi_threads(iface))
    stack.enter_context(changed(journal, _NET / iface / "threaded", "1"))
    threads = set(steering.napi_threads(iface)) - known
    for thread in threads:
        cpus.pin(thread, {cpu})
    return f"a veth: receive processing in a kernel thread on core {cpu}" if threads else ""


def _flags(stack: ExitStack, journal: Journal, iface: str, wanted: Wanted) -> None:
    """Set the interface up. DPDK programs may leave promiscuous mode on: record both."""
    flags = int(_read(iface, "flags"), 16)
    if wanted.frames and not flags & _PROMISC:
        stack.enter_context(journal.holds("flag", "promisc", inside=iface))
    if not flags & _UP:
        stack.enter_context(journal.holds("flag", "up", inside=iface))
        with IPRoute() as route:
            route.link("set", index=route.link_lookup(ifname=iface)[0], state="up")


def forget(iface: str, addr: str) -> None:
    """Remove a server's neighbour entry: its MAC may change with each server.

    The kernel would use the old one for up to half a minute.
    """
    with IPRoute() as route:
        (index,) = route.link_lookup(ifname=iface)
        for entry in route.get_neighbours(socket.AF_INET, ifindex=index):
            if entry.get("dst") == addr:
                route.neigh("del", dst=addr, ifindex=index)


def wait_carrier(iface: str, timeout_s: float = _CARRIER_S) -> None:
    """Wait until the link has a carrier; a NIC may need seconds after it was set up."""
    deadline = time.monotonic() + timeout_s
    while _read(iface, "carrier") != "1":
        if time.monotonic() > deadline:
            raise NearmetalError(f"nic {iface}: no carrier for {timeout_s:.0f} s; is the cable in?")
        time.sleep(0.05)


def _read(iface: str, name: str) -> str:
    return (_NET / iface / name).read_text(encoding="ascii").strip()
