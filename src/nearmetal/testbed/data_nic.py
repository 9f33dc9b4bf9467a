"""A machine's data NIC, as a rung wants it, and put back as it was.

Kernel rungs and socket generators want the interface up, with its address. A frame rung on
af_packet or af_xdp wants it up and without: else the kernel would answer beside it. One on DPDK's
own drivers wants the card itself, and the kernel has no interface for the time. Who is asked by
such a rung must finish his checksums when sending, where the cable is a veth.
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
_ARP_AGAIN_MS = 10  # the kernel's second would be the start of every server that answers ARP itself


@dataclass(frozen=True)
class Wanted:
    """How the next rung wants it."""

    nic: str  # an interface, or a PCI address
    address: str  # with its prefix
    frames: bool  # a frame datapath takes what arrives: the kernel has no address here
    checksums: bool  # to be made when sending
    receive_cpu: int | None  # where its receive processing is to be done
    take: Take = "af_packet"  # how a frame datapath takes it
    rings: queues.Entries | None = None  # how long; None: as they are
    one_queue: bool = False


@dataclass(frozen=True)
class Port:
    """What it is."""

    iface: str
    driver: str
    mac: str
    eal: tuple[str, ...]  # for DPDK
    notes: tuple[str, ...]


@contextmanager
def prepared(journal: Journal, wanted: Wanted) -> Iterator[Port]:
    """Set it; tells what it is."""
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
            if wanted.checksums:  # a generator's: it asks for a server that is about to start
                retrans = Path("/proc/sys/net/ipv4/neigh") / iface / "retrans_time_ms"
                stack.enter_context(changed(journal, retrans, str(_ARP_AGAIN_MS)))
            notes += _of_kernel(stack, journal, iface, driver, wanted)
        if take == "af_xdp":
            _xdp(stack, journal, iface)
            notes.append("taken by XDP sockets")
        yield Port(iface, driver, mac, nic.taken(take, device), tuple(notes))


def _hand(stack: ExitStack, journal: Journal, iface: str, driver: str) -> tuple[str, str]:
    """The card, to DPDK's own driver. Its address, and who has it."""
    its = pci.of_interface(iface)
    if its is None:
        raise CannotRunError(f'nic {iface} ({driver}): no PCI device, as take = "dpdk" wants')
    return its.address, f"{stack.enter_context(binding.handed(journal, its))}; DPDK polls it"


def named(name: str, root: Path = _ROOT) -> str:
    """The interface that a machine file means."""
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
    raise NearmetalError(f"nic {name}: the kernel has no interface there ({who}); give it one")


def _check(iface: str) -> None:
    known = sorted(path.name for path in _NET.iterdir() if path.name != "lo")
    if iface not in known:
        raise NearmetalError(f"nic {iface}: no such interface (there are: {', '.join(known)})")
    if nic.carries_default_route(iface):
        raise NearmetalError(f"nic {iface}: carries the machine's default route; name the data NIC")
    ours = os.environ.get("SSH_CONNECTION", "").split()  # sshd(8): from, port, to, port
    if len(ours) == 4 and any(each.partition("/")[0] == ours[2] for each in addresses(iface)):
        raise NearmetalError(f"nic {iface}: we are steered by it (SSH to {ours[2]}); name another")


def _of_kernel(
    stack: ExitStack, journal: Journal, iface: str, driver: str, wanted: Wanted
) -> Iterator[str]:
    """What the kernel does for it: checksums, queues, receive processing."""
    if driver == "veth":
        if wanted.checksums:
            _offload(stack, journal, iface, "tx_checksum", on=False)
        if wanted.receive_cpu is None or wanted.frames:
            yield "a veth: no rings, no interrupts; receive processing is its sender's"
            return
        _offload(stack, journal, iface, "gro", on=True)
        yield _receive(stack, journal, iface, wanted.receive_cpu)
        return
    its = pci.of_interface(iface)
    if its is not None and (wanted.rings is not None or wanted.one_queue):
        stack.enter_context(binding.remembered(journal, its))  # its driver makes them anew
    if wanted.rings is not None:
        yield queues.rings(stack, journal, iface, wanted.rings)
    if wanted.one_queue:
        yield queues.one(stack, journal, iface)
    if wanted.receive_cpu is None:
        yield queues.left_alone(iface, _ROOT)
    else:
        yield queues.on_core(stack, journal, iface, wanted.receive_cpu, _ROOT)


def _xdp(stack: ExitStack, journal: Journal, iface: str) -> None:
    """DPDK attaches an XDP program, and detaches it only where it ends in order."""
    channels = ethtool.channels(iface)
    if channels is not None and channels.queues > 1:
        raise CannotRunError(
            f"nic {iface}: {channels.queues} queues, which its driver keeps; af_xdp takes one"
        )
    with IPRoute() as route:
        (link,) = route.get_links(ifname=iface)
        there = link.get("xdp")
    if there is not None and there.get("IFLA_XDP_ATTACHED"):
        raise CannotRunError(f"nic {iface}: somebody's XDP program is there; detach it first")
    stack.enter_context(journal.holds("xdp", iface))


def _address(stack: ExitStack, journal: Journal, iface: str, wanted: Wanted) -> None:
    there = wanted.address in addresses(iface)
    if there != wanted.frames:
        return  # kernel: it is there; frames: it is not
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
    """Receive processing of a veth, by a kernel thread on this core (machine/links/steering.py)."""
    known = set(steering.napi_threads(iface))
    stack.enter_context(changed(journal, _NET / iface / "threaded", "1"))
    threads = set(steering.napi_threads(iface)) - known
    for thread in threads:
        cpus.pin(thread, {cpu})
    return f"a veth: receive processing in a kernel thread on core {cpu}" if threads else ""


def _flags(stack: ExitStack, journal: Journal, iface: str, wanted: Wanted) -> None:
    """Up. Who takes frames himself may listen to all of them, and leave it so."""
    flags = int(_read(iface, "flags"), 16)
    if wanted.frames and not flags & _PROMISC:
        stack.enter_context(journal.holds("flag", "promisc", inside=iface))
    if not flags & _UP:
        stack.enter_context(journal.holds("flag", "up", inside=iface))
        with IPRoute() as route:
            route.link("set", index=route.link_lookup(ifname=iface)[0], state="up")


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
