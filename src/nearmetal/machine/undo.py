"""How each kind of record is undone: once is enough, twice is the same.

What is undone is known by more than its name; a value is given back only if it is still what we
made it. So the record of an act that failed, or that a kill came before, undoes nothing. What may
be another's is left alone: LeftAloneError says what it is.

Kinds of record (what / old / new / inside / known by):
    netns    file that holds a network namespace / - / - / - / its folder
    link     network interface / - / - / file of its namespace / index, chosen before it is made
    process  children of the owner (found by the marker in their environment)
    value    sysfs or sysctl file / what it held / what it is set to / - / what it held then
    path     file or directory of ours / - / - / its first, random name / device and inode
    pages    claim on the pool of huge pages / - / - / its file in sysfs
    offload  feature of a network interface / on or off / - / the interface / it
    address  ADDR/BITS of a network interface / there or absent / - / the interface / it
    flag     up or promisc, which was off / - / - / the interface / it
    rings    network interface / its entries (ethtool.Rings) / what they are set to / - / it
    channels network interface / its queues (ethtool.Channels) / what they are set to / - / it
    xdp      network interface that had no XDP program / - / - / - / it
    driver   PCI device's folder in sysfs / DRIVER:OVERRIDE, either may be empty / DRIVER
    interface  PCI device's folder in sysfs / its interface (interface.Interface) / - / - / index
    interrupts  PCI device's folder in sysfs / where they come, by name
    module   kernel module that was not loaded / - / - / - / that it was loaded
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from pyroute2 import IPRoute, NetNS
from pyroute2.netlink.exceptions import NetlinkError

from nearmetal.errors import NearmetalError
from nearmetal.machine import hugepage_claims
from nearmetal.machine.devices import ethtool, pci
from nearmetal.machine.devices.interface import Interface, put_back
from nearmetal.machine.processes import owner as owners
from nearmetal.machine.processes.owner import Owner
from nearmetal.machine.records import Kind, Record

_IFF = {"up": 0x1, "promisc": 0x100}  # linux/if.h
_MNT_DETACH = 2  # umount2(2)
_GONE_WAIT_S = 5.0
_BY_HAND = "it cannot be told whether it is ours; remove it by hand if it is not in use"


class LeftAloneError(NearmetalError):
    """Another's, or perhaps: what, and why."""


def undo(record: Record) -> str:
    """Bring one thing back to what it was; what was done, in words."""
    try:
        return _UNDO[record.kind](record) or f"{record.kind} {record.what}"
    except (OSError, NetlinkError) as error:
        raise NearmetalError(f"cannot undo {record.kind} {record.what}: {error}") from error


def identity(path: Path) -> str | None:
    """What a file or folder is known by; None: there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}"


def known_link(kind: Kind, what: str, inside: str | None) -> str | None:
    """What the link of such a record is known by: its card, whose interface may come anew, or its
    index. None: it is about no link."""
    if kind not in ("offload", "address", "flag", "rings", "channels", "xdp"):
        return None
    iface = inside or what
    its = pci.of_interface(iface)
    return index_of(iface) if its is None else its.address


def index_of(iface: str) -> str | None:
    """A link's, in the namespace of the calling thread; None: there is none of that name."""
    try:
        return str(socket.if_nametoindex(iface))
    except OSError:
        return None


def kill(marked: Iterable[tuple[int, Owner]]) -> None:
    """Kill and wait until each is gone; the descriptor makes sure it is the same process."""
    for pid, owner in marked:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if owners.marked_by(pid) == owner:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], _GONE_WAIT_S)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def _is_named_after(record: Record) -> bool:
    """Older releases wrote down no more than a name, which has the owner's pid in it."""
    name = Path(record.what).name
    return record.owner.boot is None and name.startswith(f"nm-{record.owner.pid}-")


def _is_gone_with_network(record: Record) -> bool:
    """False: it is in our network namespace."""
    if record.network in (None, owners.namespace("net", "thread-self")):
        return False
    shown = (path.name for path in owners.PROC.iterdir() if path.name.isdigit())
    lives = any(owners.namespace("net", pid) == record.network for pid in shown)
    if lives or not owners.shows_all():
        raise LeftAloneError(
            f"{record.kind} {record.what}: in network namespace {record.network}, which is not"
            " ours; `clean` in there undoes it"
        )
    return True


def _is_other_link(record: Record, iface: str) -> bool:
    """Whether the link that it is about has gone, though another may have its name."""
    if _is_gone_with_network(record):
        return True
    return record.known_by is not None and record.known_by != known_link(record.kind, iface, None)


def _undo_link(record: Record) -> None:
    if record.inside is None:
        if _is_gone_with_network(record):
            return
    elif not _is_mount(Path(record.inside)):
        return  # the namespace took it along
    with NetNS(record.inside, flags=0) if record.inside else IPRoute() as route:
        for index in route.link_lookup(ifname=record.what):
            if record.known_by is None and not _is_named_after(record):
                raise LeftAloneError(f"link {record.what}: {_BY_HAND}")
            if record.known_by in (None, str(index)):
                route.link("del", index=index)


def _undo_netns(record: Record) -> None:
    path = Path(record.what)
    if record.known_by is None:
        if path.exists() and not _is_named_after(record):
            raise LeftAloneError(f"network namespace {path}: {_BY_HAND}")
    elif record.known_by != identity(path.parent):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    while _is_mount(path):  # each turn takes one mount away
        if libc.umount2(os.fsencode(path), _MNT_DETACH) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), record.what)
    path.unlink(missing_ok=True)


def _undo_process(record: Record) -> None:
    if not owners.shows_ours():
        raise LeftAloneError("processes: this /proc is another process namespace's")
    kill(owners.children(record.owner))


def _undo_value(record: Record) -> str | None:
    assert record.old is not None
    file = Path(record.what)
    if "net" in file.parts and _is_gone_with_network(record):
        return None
    with contextlib.suppress(FileNotFoundError):  # its device went away, and the value with it
        now = file.read_text(encoding="ascii").strip()
        ours = record.known_by or record.new
        if now == record.old:  # some files refuse to be written even what they hold
            return None
        if ours is not None and _plain(now) != _plain(ours):
            return f"value {file} is not put back: it was set to {now} since then"
        file.write_text(record.old, encoding="ascii")
    return None


def _plain(value: str) -> str:
    """As the kernel may write it, and we."""
    return value.strip().replace(",", "").lstrip("0")


def _undo_path(record: Record) -> None:
    path = Path(record.what)
    if record.inside is not None:
        _remove(Path(record.inside))
    if record.known_by is None:
        if record.inside is not None or not os.path.lexists(path):
            return
        if not _is_named_after(record):
            raise LeftAloneError(f"{path}: {_BY_HAND}")
    elif record.known_by != identity(path):
        return
    _remove(path)


def _remove(path: Path) -> None:
    while path.is_dir() and not path.is_symlink():
        with contextlib.suppress(FileNotFoundError):  # another clean is at it too
            shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _undo_pages(record: Record) -> None:
    assert record.inside is not None
    hugepage_claims.give_back(Path(record.what), Path(record.inside))


def _undo_offload(record: Record) -> None:
    assert record.inside is not None
    if not _is_other_link(record, record.inside) and index_of(record.inside) is not None:
        feature = next(each for each in ethtool.FEATURES if each == record.what)
        ethtool.switch(record.inside, feature, record.old == "on")


def _undo_address(record: Record) -> None:
    assert record.inside is not None
    if _is_other_link(record, record.inside):
        return
    address, _, bits = record.what.partition("/")
    with IPRoute() as route:
        for index in route.link_lookup(ifname=record.inside):
            found = route.get_addr(socket.AF_INET, index=index)
            there = any((a.get("address"), str(a["prefixlen"])) == (address, bits) for a in found)
            if there != (record.old == "there"):
                act = "del" if there else "add"
                route.addr(act, index=index, address=address, prefixlen=int(bits))


def _undo_flag(record: Record) -> None:
    assert record.inside is not None
    if _is_other_link(record, record.inside):
        return
    with IPRoute() as route:
        for index in route.link_lookup(ifname=record.inside):
            route.link("set", index=index, flags=0, change=_IFF[record.what])


def _undo_rings(record: Record) -> None:
    was = ethtool.Rings.model_validate_json(record.old or "")
    ours = ethtool.Rings.model_validate_json(record.new) if record.new else None
    if not _is_other_link(record, record.what):
        now = ethtool.rings(record.what)
        if now not in (None, was) and ours in (None, now):
            ethtool.set_rings(record.what, was)


def _undo_channels(record: Record) -> None:
    was = ethtool.Channels.model_validate_json(record.old or "")
    ours = ethtool.Channels.model_validate_json(record.new) if record.new else None
    if not _is_other_link(record, record.what):
        now = ethtool.channels(record.what)
        if now not in (None, was) and ours in (None, now):
            ethtool.set_channels(record.what, was)


def _undo_xdp(record: Record) -> None:
    if _is_other_link(record, record.what):
        return
    with IPRoute() as route:
        for index in route.link_lookup(ifname=record.what):
            route.link("set", index=index, xdp_fd=-1)


def _undo_driver(record: Record) -> str | None:
    driver, _, override = (record.old or "").partition(":")
    its = pci.Device(Path(record.what))
    ours = ("", record.new)
    if record.new is not None and its.override != record.new and its.driver not in ours:
        return None if its.driver == driver else f"driver {its.driver} of {its.address} is left"
    pci.give_back(its, driver, override)
    return None


def _undo_interface(record: Record) -> None:
    its = pci.Device(Path(record.what))
    if its.folder.exists():
        now = pci.wait_interface(its)
        if record.known_by is None or record.known_by != index_of(now):  # else it never went
            put_back(Interface.model_validate_json(record.old or ""), now)


def _undo_interrupts(record: Record) -> None:
    pci.Device(Path(record.what)).place(json.loads(record.old or ""))


def _undo_module(record: Record) -> None:
    if record.known_by is not None or record.owner.boot is None:
        pci.unload(record.what)


_UNDO: dict[Kind, Callable[[Record], str | None]] = {
    "netns": _undo_netns,
    "link": _undo_link,
    "process": _undo_process,
    "value": _undo_value,
    "path": _undo_path,
    "pages": _undo_pages,
    "offload": _undo_offload,
    "address": _undo_address,
    "flag": _undo_flag,
    "rings": _undo_rings,
    "channels": _undo_channels,
    "xdp": _undo_xdp,
    "driver": _undo_driver,
    "interface": _undo_interface,
    "interrupts": _undo_interrupts,
    "module": _undo_module,
}


def _is_mount(path: Path) -> bool:
    """Also true for a mounted file, such as that of a namespace, which os.path.ismount misses."""
    with Path("/proc/self/mountinfo").open(encoding="utf-8") as mounts:
        return any(line.split()[4] == str(path) for line in mounts)
