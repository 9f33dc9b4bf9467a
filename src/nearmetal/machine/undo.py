"""Undo of each kind of record. An undo may be repeated.

A thing to undo is recognised by more than its name, and a value is restored only if it is still the
one that the record's owner set. So the record of an act that failed, or that a kill prevented,
undoes nothing. What may belong to another program is left alone: LeftAloneError names it.

Kinds of record (what / old / new / inside / known by):
    netns    file that holds a network namespace / - / - / - / its folder
    link     network interface / - / - / file of its namespace / index, chosen before the act
    process  children of the owner (found by the marker in their environment)
    value    sysfs or sysctl file / its old value / the value to set / - / the value read back
    path     our file or directory / - / - / its first, random name / device and inode
    pages    claim on the pool of huge pages / - / - / its file in sysfs
    offload  feature of a network interface / on or off / - / the interface / its address or index
    address  ADDR/BITS of a network interface / there or absent / - / the interface / as offload
    flag     up or promisc, which was off / - / - / the interface / as offload
    rings    network interface / its entries (ethtool.Rings) / new entries / - / as offload
    channels network interface / its queues (ethtool.Channels) / new queues / - / as offload
    xdp      network interface without an XDP program / - / - / - / as offload
    driver   PCI device's folder in sysfs / DRIVER:OVERRIDE, either may be empty / DRIVER
    interface  PCI device's folder in sysfs / its interface (interface.Interface) / - / - / index
    interrupts  PCI device's folder in sysfs / cores of its interrupts, by handler's name
    module   kernel module that was not loaded / - / - / - / "loaded", once it was loaded
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
_BY_HAND = "it may not be ours; remove it by hand if it is not in use"


class LeftAloneError(NearmetalError):
    """A thing that belongs or may belong to another program; the message says what and why."""


def undo(record: Record) -> str:
    """Undo one change. Return in words what was done."""
    try:
        return _UNDO[record.kind](record) or f"{record.kind} {record.what}"
    except (OSError, NetlinkError) as error:
        raise NearmetalError(f"cannot undo {record.kind} {record.what}: {error}") from error


def identity(path: Path) -> str | None:
    """Return the device and inode of a file or folder, or None if it does not exist."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return f"{found.st_dev}:{found.st_ino}"


def known_link(kind: Kind, what: str, inside: str | None) -> str | None:
    """Return the identity of a record's link; None: the record is not about a link.

    A link of a PCI device is known by the device's address, since its interface may be made anew;
    any other link by its index.
    """
    if kind not in ("offload", "address", "flag", "rings", "channels", "xdp"):
        return None
    iface = inside or what
    its = pci.of_interface(iface)
    return index_of(iface) if its is None else its.address


def index_of(iface: str) -> str | None:
    """Return the link's index in the calling thread's namespace, or None if there is no link."""
    try:
        return str(socket.if_nametoindex(iface))
    except OSError:
        return None


def kill(marked: Iterable[tuple[int, Owner]]) -> None:
    """Kill the processes and wait for their end; a pidfd makes sure that each is the marked one."""
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
    """Whether the name has the owner's pid in it: older releases recorded no other identity."""
    name = Path(record.what).name
    return record.owner.boot is None and name.startswith(f"nm-{record.owner.pid}-")


def _is_gone_with_network(record: Record) -> bool:
    """Whether the record's network namespace has ended; False if it is the calling thread's.

    LeftAloneError: it is another one, and lives or may live.
    """
    if record.network in (None, owners.namespace("net", "thread-self")):
        return False
    shown = (path.name for path in owners.PROC.iterdir() if path.name.isdigit())
    lives = any(owners.namespace("net", pid) == record.network for pid in shown)
    if lives or not owners.shows_all():
        raise LeftAloneError(
            f"{record.kind} {record.what}: in network namespace {record.network}, which is not"
            " ours; run `clean` in there to undo it"
        )
    return True


def _is_other_link(record: Record, iface: str) -> bool:
    """Whether the record's link is gone; another link may have its name."""
    if _is_gone_with_network(record):
        return True
    return record.known_by is not None and record.known_by != known_link(record.kind, iface, None)


def _undo_link(record: Record) -> None:
    if record.inside is None:
        if _is_gone_with_network(record):
            return
    elif not _is_mount(Path(record.inside)):
        return  # removed together with its namespace
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
    while _is_mount(path):  # each umount2 removes one mount
        if libc.umount2(os.fsencode(path), _MNT_DETACH) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), record.what)
    path.unlink(missing_ok=True)


def _undo_process(record: Record) -> None:
    if not owners.shows_ours():
        raise LeftAloneError("processes: /proc is of another process namespace")
    kill(owners.children(record.owner))


def _undo_value(record: Record) -> str | None:
    assert record.old is not None
    file = Path(record.what)
    if "net" in file.parts and _is_gone_with_network(record):
        return None
    with contextlib.suppress(FileNotFoundError):  # the device is gone, and the value with it
        now = file.read_text(encoding="ascii").strip()
        ours = record.known_by or record.new
        if now == record.old:  # some files refuse a write even of their present value
            return None
        if ours is not None and _plain(now) != _plain(ours):
            return f"value {file} is not restored: it was set to {now} since then"
        file.write_text(record.old, encoding="ascii")
    return None


def _plain(value: str) -> str:
    """Return the value without the kernel's commas and leading zeros."""
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
        with contextlib.suppress(FileNotFoundError):  # another clean removes it too
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
        if record.known_by is None or record.known_by != index_of(now):  # the same: never removed
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
    """Whether something is mounted at the path: also on a file, which os.path.ismount misses."""
    with Path("/proc/self/mountinfo").open(encoding="utf-8") as mounts:
        return any(line.split()[4] == str(path) for line in mounts)
