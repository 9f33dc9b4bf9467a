"""What is made or changed on the machine, written down before the act, and undone from there.

One small JSON record a file, synced to the disk before the act, removed after the undo. The same
undo runs at the end of a `with` and from `clean` after a kill, so both are one path. An undo may
meet a thing half made or already gone: it is done when the thing is not there.

Kinds of record (what / old / inside):
    netns    file that holds a network namespace
    link     network interface / - / file of its namespace
    process  children of the owner (found by the marker in their environment)
    value    sysfs or sysctl file / what it held before
    mount    mount point
    path     file or directory of ours
    pages    claim on the pool of huge pages / - / its file in sysfs
    offload  feature of a network interface / on or off / the interface
    address  ADDR/BITS of a network interface / there or absent / the interface
    flag     up or promisc, which was off / - / the interface
    rings    network interface / its entries (ethtool.Rings)
    channels network interface / its queues (ethtool.Channels)
    xdp      network interface that had no XDP program
    driver   PCI device's folder in sysfs / DRIVER:OVERRIDE, either may be empty
    interface  PCI device's folder in sysfs / what its interface was (interface.Interface)
    interrupts  PCI device's folder in sysfs / where they come, by name
    module   kernel module that was not loaded

A change that has to outlive its maker (`tune apply`) is kept in a folder of its own, which `clean`
does not look at: `restore` undoes it, or the next boot.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from pyroute2 import IPRoute, NetNS
from pyroute2.netlink.exceptions import NetlinkError

from nearmetal.errors import NearmetalError
from nearmetal.machine import hugepage_claims
from nearmetal.machine.devices import ethtool, pci
from nearmetal.machine.devices.interface import Interface, put_back
from nearmetal.machine.processes import owner as owners
from nearmetal.machine.processes import signals
from nearmetal.machine.processes.owner import Owner
from nearmetal.samples import Frozen

Kind = Literal[
    "netns", "link", "process", "value", "mount", "path", "pages", "offload", "address", "flag",
    "rings", "channels", "xdp", "driver", "interface", "interrupts",
    "module",
]  # fmt: skip

_IFF = {"up": 0x1, "promisc": 0x100}  # linux/if.h
_MNT_DETACH = 2  # umount2(2)
_GONE_WAIT_S = 5.0


class Record(Frozen):
    """One thing made or changed."""

    kind: Kind
    what: str
    old: str | None = None
    inside: str | None = None
    owner: Owner


@dataclass(frozen=True)
class Journal:
    """The records of one owner: directory/PID:STARTED/, numbered in the order of the acts."""

    directory: Path
    owner: Owner

    @contextmanager
    def holds(
        self, kind: Kind, what: str, *, old: str | None = None, inside: str | None = None
    ) -> Iterator[Record]:
        """Write the record; the body acts; undo at the end, however the body ends."""
        record = Record(kind=kind, what=what, old=old, inside=inside, owner=self.owner)
        file = _write(_folder(self.directory, self.owner), record)
        try:
            yield record
        finally:
            with signals.held():
                undo(record)
                file.unlink()
                with contextlib.suppress(OSError):  # not empty yet: other records are still held
                    file.parent.rmdir()

    def close(self) -> None:
        """Undo what is still written down: an interrupt may come just before a `with` holds it."""
        with signals.held():
            _undo_all(_folder(self.directory, self.owner))


def open_journal(directory: Path | None = None) -> Journal:
    """The journal of this process."""
    return Journal((directory or owners.state_directory()) / "journal", owners.current())


@contextmanager
def changed(journal: Journal, file: Path, value: str) -> Iterator[None]:
    """Hold a sysfs or sysctl file at another value."""
    old = file.read_text(encoding="ascii").strip()
    with journal.holds("value", str(file), old=old):
        file.write_text(value, encoding="ascii")
        yield


def clean(directory: Path | None = None) -> list[str]:
    """Undo what dead owners left behind. Returns what was undone, a line each."""
    journal = (directory or owners.state_directory()) / "journal"
    done = []
    for pid, marker in owners.children():
        if not owners.alive(marker):
            _kill([pid])
            done.append(f"process {pid} (of {marker.pid})")
    for folder in sorted(journal.iterdir()) if journal.is_dir() else []:
        done += _clean_owner(folder)
    return done


@contextmanager
def keeps(
    folder: Path, kind: Kind, what: str, *, old: str | None = None, inside: str | None = None
) -> Iterator[Record]:
    """Write a record that stays; the body acts; undone only where the body fails."""
    record = Record(kind=kind, what=what, old=old, inside=inside, owner=owners.current())
    file = _write(folder, record)
    try:
        yield record
    except BaseException:
        with signals.held():
            undo(record)
            file.unlink()
        raise


def kept(folder: Path) -> dict[Path, Record]:
    """What is kept, the last first, by its file."""
    found = {}
    for file in sorted(folder.glob("*.json"), reverse=True):
        with contextlib.suppress(ValidationError):  # killed while writing it: nothing was done yet
            found[file] = Record.model_validate_json(file.read_text(encoding="utf-8"))
    return found


def restore(folder: Path) -> Iterator[str | NearmetalError]:
    """Undo what is kept, the last first: a line for each. What cannot be undone stays kept."""
    for file, record in kept(folder).items():
        try:
            undo(record)
        except NearmetalError as error:
            yield error
            continue
        file.unlink()
        yield f"{record.kind} {record.what}"
    if not kept(folder):
        shutil.rmtree(folder, ignore_errors=True)


def undo(record: Record) -> None:
    """Bring one thing back to what it was. Doing it twice is the same as once."""
    try:
        _UNDO[record.kind](record)
    except (OSError, NetlinkError) as error:
        raise NearmetalError(f"cannot undo {record.kind} {record.what}: {error}") from error


def _clean_owner(folder: Path) -> list[str]:
    # By the folder's name: a record of a living owner may be half written at this moment.
    owner = owners.parse(folder.name)
    return [] if owner is None or owners.alive(owner) else _undo_all(folder)


def _undo_all(folder: Path) -> list[str]:
    done: list[str] = []
    for file in sorted(folder.glob("*.json"), reverse=True):
        try:
            record = Record.model_validate_json(file.read_text(encoding="utf-8"))
        except FileNotFoundError:  # another clean was here first
            continue
        except ValidationError:  # killed while writing it: so nothing was done yet
            file.unlink(missing_ok=True)
            continue
        undo(record)
        file.unlink(missing_ok=True)
        done.append(f"{record.kind} {record.what} (of {record.owner.pid})")
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
    return done


def _folder(directory: Path, owner: Owner) -> Path:
    return directory / str(owner)


def _write(folder: Path, record: Record) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    last = max((int(file.stem) for file in folder.glob("*.json")), default=0)
    file = folder / f"{last + 1:06}.json"
    with file.open("x", encoding="utf-8") as out:
        out.write(record.model_dump_json())
        out.flush()
        os.fsync(out.fileno())
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)  # the name too, not only the bytes
    finally:
        os.close(handle)
    return file


def _undo_link(record: Record) -> None:
    if record.inside is not None and not _is_mount(Path(record.inside)):
        return  # the namespace took it along
    with NetNS(record.inside, flags=0) if record.inside else IPRoute() as route:
        for index in route.link_lookup(ifname=record.what):
            route.link("del", index=index)


def _undo_netns(record: Record) -> None:
    _undo_mount(record)
    Path(record.what).unlink(missing_ok=True)


def _undo_mount(record: Record) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    while _is_mount(Path(record.what)):  # each turn takes one mount away
        if libc.umount2(os.fsencode(record.what), _MNT_DETACH) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), record.what)


def _undo_process(record: Record) -> None:
    _kill([pid for pid, _ in owners.children(record.owner)])


def _undo_value(record: Record) -> None:
    assert record.old is not None
    with contextlib.suppress(FileNotFoundError):  # its device went away, and the value with it
        # Some files refuse to be written even what they hold.
        if Path(record.what).read_text(encoding="ascii").strip() != record.old:
            Path(record.what).write_text(record.old, encoding="ascii")


def _undo_path(record: Record) -> None:
    path = Path(record.what)
    while path.is_dir() and not path.is_symlink():
        with contextlib.suppress(FileNotFoundError):  # another clean is at it too
            shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _undo_pages(record: Record) -> None:
    assert record.inside is not None
    hugepage_claims.give_back(Path(record.what), Path(record.inside))


def _undo_offload(record: Record) -> None:
    assert record.inside is not None
    if (Path("/sys/class/net") / record.inside).exists():
        feature = next(each for each in ethtool.FEATURES if each == record.what)
        ethtool.switch(record.inside, feature, record.old == "on")


def _undo_address(record: Record) -> None:
    assert record.inside is not None
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
    with IPRoute() as route:
        for index in route.link_lookup(ifname=record.inside):
            route.link("set", index=index, flags=0, change=_IFF[record.what])


def _undo_rings(record: Record) -> None:
    was = ethtool.Rings.model_validate_json(record.old or "")
    if ethtool.rings(record.what) not in (None, was):
        ethtool.set_rings(record.what, was)


def _undo_channels(record: Record) -> None:
    was = ethtool.Channels.model_validate_json(record.old or "")
    if ethtool.channels(record.what) not in (None, was):
        ethtool.set_channels(record.what, was)


def _undo_xdp(record: Record) -> None:
    with IPRoute() as route:
        for index in route.link_lookup(ifname=record.what):
            route.link("set", index=index, xdp_fd=-1)


def _undo_driver(record: Record) -> None:
    driver, _, override = (record.old or "").partition(":")
    pci.give_back(pci.Device(Path(record.what)), driver, override)


def _undo_interface(record: Record) -> None:
    its = pci.Device(Path(record.what))
    if its.folder.exists():
        put_back(Interface.model_validate_json(record.old or ""), pci.wait_interface(its))


def _undo_interrupts(record: Record) -> None:
    pci.Device(Path(record.what)).place(json.loads(record.old or ""))


def _undo_module(record: Record) -> None:
    pci.unload(record.what)


_UNDO: dict[Kind, Callable[[Record], None]] = {
    "netns": _undo_netns,
    "link": _undo_link,
    "process": _undo_process,
    "value": _undo_value,
    "mount": _undo_mount,
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


def _kill(pids: list[int]) -> None:
    """Kill and wait until each is gone; the descriptor makes sure it is the same process."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if owners.marked_by(pid) is not None:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                select.select([handle], [], [], _GONE_WAIT_S)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)
