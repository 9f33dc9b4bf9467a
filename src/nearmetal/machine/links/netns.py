"""Two network namespaces joined by a veth pair: a wire that no other process of the machine uses.

The pair is created inside the namespaces, so it never appears among the machine's own links, and it
is removed with them. Neighbours are static and IPv6 is off, so the wire carries only packets of the
trial. The links have no queue (noqueue), which is veth's default.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

from pyroute2 import IPRoute, NetNS
from pyroute2.netlink.exceptions import NetlinkError

from nearmetal.errors import NearmetalError
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import networks
from nearmetal.machine.links.frames import SUT_MAC, TG_MAC
from nearmetal.machine.processes import owner as owners
from nearmetal.machine.undo import identity

_CLONE_NEWNET = 0x40000000  # setns(2)
_HERE = Path("/proc/self/ns/net")
# linux/if_tun.h
_TUNSETIFF, _TUNSETPERSIST, _TUNSETIFINDEX = 0x400454CA, 0x400454CB, 0x400454DA
_TAP_OF_OURS = 0x0002 | 0x1000 | 0x8000  # IFF_TAP, IFF_NO_PI, IFF_TUN_EXCL


@dataclass(frozen=True)
class End:
    """One end of the wire."""

    netns: Path  # file on which the namespace is mounted
    iface: str
    addr: str
    mac: str


@dataclass(frozen=True)
class Wire:
    sut: End
    tg: End
    subnet: str
    note: str = ""  # caveat for readers of the figures, or ""


@dataclass(frozen=True)
class Tap:
    """A tap device in this machine's own namespace; a program holds the other end."""

    iface: str
    addr: str
    peer_addr: str  # for the program at the other end
    subnet: str


@contextmanager
def veth(journal: Journal) -> Iterator[Wire]:
    """Make a veth pair, both ends up and configured; remove it after the body."""
    sut, tg, subnet = _ends(networks.OWN)
    with ExitStack() as stack:
        stack.enter_context(journal.folder(sut.netns.parent))
        notes = [stack.enter_context(_namespace(journal, end.netns)) for end in (sut, tg)]
        _join(stack, journal, sut, tg)
        _configure(sut, subnet.prefixlen)
        _configure(tg, subnet.prefixlen)
        # Static neighbours: no ARP on the wire, and no wait for ARP in the first trial.
        neighbour(sut, tg.addr, tg.mac)
        neighbour(tg, sut.addr, sut.mac)
        stack.enter_context(journal.holds("process", "what was started on the wire"))
        yield Wire(sut, tg, str(subnet), max(notes))


@contextmanager
def tapped(
    journal: Journal, *, here: bool, sides: tuple[str, str] = ("nic", "far")
) -> Iterator[Wire]:
    """Make a pair whose server's end has no address: the program that reads its frames has it.

    The server's end is in a namespace of its own, so no kernel answers or forwards beside that
    program. The generator's end is in this namespace if `here`, usable by every program of the
    machine, else in a namespace of its own. sides: the ends' names, for several pairs of a process.
    """
    with ExitStack() as stack:
        turn = stack.enter_context(ExitStack())
        if here:
            sut, tg, subnet = _ends(turn.enter_context(networks.choosing()))
            tg = replace(tg, netns=_HERE)
        else:
            sut, tg, subnet = _ends(networks.OWN, *sides)
        stack.enter_context(journal.folder(sut.netns.parent))
        apart = (sut,) if here else (sut, tg)
        notes = [stack.enter_context(_namespace(journal, end.netns)) for end in apart]
        _join(stack, journal, sut, tg)
        with told("bring a link up"), NetNS(str(sut.netns), flags=0) as route:
            route.link("set", index=route.link_lookup(ifname=sut.iface)[0], state="up")
        _configure(tg, subnet.prefixlen)
        turn.close()
        stack.enter_context(journal.holds("process", "what was started on the wire"))
        yield Wire(sut, tg, str(subnet), max(notes))


@contextmanager
def tap(journal: Journal) -> Iterator[Tap]:
    """Make a tap device that is up and has an address; the kernel sends no packets by itself."""
    with ExitStack() as stack:
        turn = stack.enter_context(ExitStack())
        subnet = turn.enter_context(networks.choosing())
        made = Tap(owners.label("tap"), str(subnet[2]), str(subnet[1]), str(subnet))
        index = stack.enter_context(journal.link(made.iface))
        with told("make a tap device"), IPRoute() as route:
            _make_tap(made.iface, index)
            route.link("set", index=index, ifalias=journal.alias())
            quiet = Path("/proc/sys/net/ipv6/conf") / made.iface / "disable_ipv6"
            if quiet.exists():
                with suppress(OSError):  # read-only: the kernel then sends a few packets by itself
                    quiet.write_text("1", encoding="ascii")
            route.addr("add", index=index, address=made.addr, prefixlen=subnet.prefixlen)
            route.link("set", index=index, state="up")
        turn.close()
        yield made


@contextmanager
def tap_apart(journal: Journal, name: str) -> Iterator[Wire]:
    """Make a tap device in its own namespace; the program at its other end has sut.addr."""
    sut, tg, subnet = _ends(networks.OWN, "peer", name)
    sut = replace(sut, netns=tg.netns, iface="")
    with ExitStack() as stack:
        stack.enter_context(journal.folder(tg.netns.parent))
        note = stack.enter_context(_namespace(journal, tg.netns))
        index = stack.enter_context(journal.link(tg.iface, tg.netns))
        with told("make a tap device"), inside(tg.netns):
            _make_tap(tg.iface, index)
        with told("make a tap device"), NetNS(str(tg.netns), flags=0) as route:
            route.link("set", index=index, address=tg.mac)
        _configure(tg, subnet.prefixlen)
        neighbour(tg, sut.addr, sut.mac)
        stack.enter_context(journal.holds("process", "what was started on the wire"))
        yield Wire(sut, tg, str(subnet), note)


def neighbour(end: End, addr: str, mac: str) -> None:
    """Set the MAC of an address while the link exists, so that the kernel sends no ARP for it."""
    with told("set a neighbour of a wire"), NetNS(str(end.netns), flags=0) as route:
        index = route.link_lookup(ifname=end.iface)[0]
        route.neigh("replace", dst=addr, lladdr=mac, ifindex=index, state="permanent")


@contextmanager
def inside(netns: Path | None) -> Iterator[None]:
    """Run the body with this thread in `netns` (None: stay); sockets made inside stay there."""
    if netns is None:
        yield
        return
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _enter(netns)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def run_inside(netns: Path, script: str, *arguments: str) -> str:
    """Run a few lines of shell in a namespace whose links /sys shows. Return the output."""
    # sysfs shows the links of the namespace in which it was mounted, so mount it again, in a mount
    # namespace that ends with the shell. Only /sys is made private there: unshare would do so for
    # all mounts, which fails in a chroot, where / is not a mount.
    script = f"set -e; mount --make-private /sys; mount -t sysfs sysfs /sys; {script}"
    command = ["nsenter", f"--net={netns}", "unshare", "--mount", "--propagation", "unchanged"]
    command += ["sh", "-c", script, "sh"]
    result = subprocess.run(
        [*command, *arguments], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if result.returncode != 0:
        raise NearmetalError(f"in namespace {netns.name}: {result.stderr.strip() or script}")
    return result.stdout


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn an error of the kernel in the body into a NearmetalError in words."""
    try:
        yield
    except NetlinkError as error:
        reason = os.strerror(abs(error.code))
        raise NearmetalError(f"cannot {what}: {reason}") from error
    except OSError as error:
        raise NearmetalError(f"cannot {what}: {error.strerror or error}") from error


def _ends(subnet: IPv4Network, *sides: str) -> tuple[End, End, IPv4Network]:
    """Return the server's end, the generator's end, and their subnet."""
    names = [owners.label(side) for side in sides or ("sut", "tg")]
    folder = owners.state_directory() / "netns" / names[0]  # one folder for each wire
    sut, tg = (
        End(folder / name, name, str(subnet[number]), mac)
        for number, (name, mac) in enumerate(zip(names, (SUT_MAC, TG_MAC), strict=True), 1)
    )
    return sut, tg, subnet


@contextmanager
def _namespace(journal: Journal, file: Path) -> Iterator[str]:
    """Make a network namespace for the body. Yields a caveat for readers of figures, or ""."""
    with journal.holds("netns", str(file), known_by=identity(file.parent)):
        file.touch(mode=0o600, exist_ok=False)
        # unshare mounts the new namespace on the file; the namespace lives as long as the mount.
        command = ["unshare", f"--net={file}", "true"]
        result = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        if result.returncode != 0:
            raise NearmetalError(f"cannot make a network namespace: {result.stderr.strip()}")
        yield _without_ipv6(file)


def _without_ipv6(file: Path) -> str:
    """Switch IPv6 off in a namespace. Return a caveat for figures if that is refused, or ""."""
    if not Path("/proc/sys/net/ipv6").is_dir():
        return ""
    try:
        run_inside(file, "cd /proc/sys/net/ipv6/conf; echo 1 | tee */disable_ipv6")
    except NearmetalError:
        return "IPv6 on: it cannot be switched off here, so the kernel sends some packets itself"
    return ""


def _join(stack: ExitStack, journal: Journal, sut: End, tg: End) -> None:
    index = stack.enter_context(journal.link(sut.iface, sut.netns))
    with told("make a veth pair"), NetNS(str(sut.netns), flags=0) as route:
        peer = {"ifname": tg.iface, "address": tg.mac, "net_ns_fd": str(tg.netns)}
        route.link("add", ifname=sut.iface, kind="veth", index=index, address=sut.mac, peer=peer)


def _make_tap(iface: str, index: int) -> None:
    """Make a persistent tap device (Documentation/networking/tuntap.rst). OSError: it exists."""
    with open("/dev/net/tun", "rb+", buffering=0) as handle:  # noqa: PTH123 (it cannot seek)
        fcntl.ioctl(handle, _TUNSETIFINDEX, struct.pack("I", index))
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", iface.encode(), _TAP_OF_OURS))
        fcntl.ioctl(handle, _TUNSETPERSIST, 1)


def _configure(end: End, prefix_bits: int) -> None:
    with told("bring a link up"), NetNS(str(end.netns), flags=0) as route:
        lo, index = (route.link_lookup(ifname=name)[0] for name in ("lo", end.iface))
        if end.netns != _HERE:
            route.link("set", index=lo, state="up")
        route.addr("add", index=index, address=end.addr, prefixlen=prefix_bits)
        route.link("set", index=index, state="up")


def _enter(netns: Path) -> None:
    handle = os.open(netns, os.O_RDONLY)
    try:
        _setns(handle)
    finally:
        os.close(handle)


def _setns(handle: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns needs Python 3.12
    if libc.setns(handle, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise NearmetalError(f"cannot enter a network namespace: {os.strerror(code)}")
