"""What is made or changed on the machine, written down before the act, and undone from there.

One small record a file (records.py), removed after the undo (undo.py). The same undo runs at the
end of a `with` and from `clean` after a kill, so both are one path.

A change that has to outlive its maker (`tune apply`) is kept in a folder of its own, which `clean`
does not look at: `restore` undoes it, or the next boot.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from nearmetal.errors import NearmetalError
from nearmetal.machine import records
from nearmetal.machine.hugepage_claims import give_back_of_the_dead
from nearmetal.machine.processes import owner as owners
from nearmetal.machine.processes import signals
from nearmetal.machine.processes.lock import taken
from nearmetal.machine.processes.owner import Fate, Owner
from nearmetal.machine.records import Kind, OwnerLock, Record, StrangeError
from nearmetal.machine.undo import LeftAloneError, identity, kill, known_link, undo

_CLEAN_S = 60.0
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1  # renameat2(2)
_INDEXES = (1 << 24, 1 << 30)  # of links; the kernel counts its own up from 1
_ALIAS = "nearmetal "  # and the owner: of our links


@dataclass(frozen=True)
class Standing:
    """A record of something that is held."""

    file: Path

    def came_about(self, known_by: str) -> None:
        """Add what the thing is known by, where that is clear only now."""
        records.add_known_by(self.file, known_by)


@dataclass(frozen=True)
class Journal:
    """The records of one owner: directory/OWNER/, numbered in the order of the acts."""

    directory: Path
    owner: Owner
    lock: OwnerLock = field(default_factory=OwnerLock, compare=False, repr=False)

    @contextmanager
    def holds(self, kind: Kind, what: str, **more: str | None) -> Iterator[Standing]:
        """Write the record (more: as undo.py has it); the body acts; undo at the end, however the
        body ends."""
        more.setdefault("known_by", known_link(kind, what, more.get("inside")))
        folder = self.directory / str(self.owner)
        with self.lock.held(folder):
            file = records.write(folder, records.of_here(kind, what, self.owner, **more))
            try:
                yield Standing(file)
            finally:
                with signals.held():
                    _undo_own(file)

    @contextmanager
    def link(self, name: str, inside: Path | None = None) -> Iterator[int]:
        """The same for a link that the body makes, with the index that is given."""
        low, high = _INDEXES
        index = low + secrets.randbelow(high - low)
        where = None if inside is None else str(inside)
        with self.holds("link", name, inside=where, known_by=str(index)):
            yield index

    @contextmanager
    def folder(self, path: Path) -> Iterator[Path]:
        """A new folder; OSError: there is something already. It has a random name until it is
        written down what it is known by."""
        first = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with self.holds("path", str(path), inside=str(first)) as record:
            first.mkdir(mode=0o700, parents=True)
            record.came_about(str(identity(first)))
            _rename(first, path)
            yield path

    def alias(self) -> str:
        """What a link of ours says of itself (ip -d link)."""
        return f"{_ALIAS}{self.owner}"

    def close(self) -> None:
        """Undo what is still written down: an interrupt may come just before a `with` holds it."""
        with signals.held():
            _undo_all(self.directory / str(self.owner))


@dataclass(frozen=True)
class Swept:
    """What was undone; what was left alone, as another's; and what should have been undone."""

    undone: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, other: Swept) -> None:
        self.undone.extend(other.undone)
        self.left.extend(other.left)
        self.failed.extend(other.failed)


def open_journal(directory: Path | None = None) -> Journal:
    """The journal of this process."""
    return Journal((directory or owners.state_directory()) / "journal", owners.current())


@contextmanager
def changed(journal: Journal, file: Path, value: str) -> Iterator[None]:
    """Hold a sysfs or sysctl file at another value."""
    old = file.read_text(encoding="ascii").strip()
    with journal.holds("value", str(file), old=old, new=value) as record:
        file.write_text(value, encoding="ascii")
        record.came_about(file.read_text(encoding="ascii").strip())
        yield


def clean(directory: Path | None = None) -> list[str]:
    """Undo what dead owners left behind. Returns what was undone, a line each."""
    done = swept(directory)
    if done.failed:
        raise NearmetalError("; ".join(done.failed))
    return done.undone


def behind(directory: Path | None = None) -> list[str]:
    """What `clean` would undo of records and processes, a line each. Looks only."""
    journal, fates = (directory or owners.state_directory()) / "journal", dict[Owner, Fate]()
    found = []
    for folder in sorted(journal.iterdir()) if journal.is_dir() else []:
        if (owner := owners.parse(folder.name)) is not None and (there := kept(folder)):
            with records.nobody_holds(folder) as free:
                fates[owner] = _fate(owner, free)
            if fates[owner] is Fate.DEAD:
                found += [f"{each.kind} {each.what} (of {owner.pid})" for each in there.values()]
    for pid, owner in owners.children():
        if (fates.get(owner) or _fate_of_parent(owner, pid)) is Fate.DEAD:
            found.append(f"process {pid} (of {owner.pid})")
    return found


def swept(directory: Path | None = None) -> Swept:
    """Undo what dead owners left behind; tells what was undone, left alone, and failed."""
    journal = (directory or owners.state_directory()) / "journal"
    done, fates, others = Swept(), dict[Owner, Fate](), defaultdict[Owner, list[str]](list)
    with _one_at_a_time(journal):
        folders = sorted(journal.iterdir()) if journal.is_dir() else []
        for folder in (each for each in folders if each.is_dir()):
            if (owner := owners.parse(folder.name)) is None:
                done.left.append(f"{folder}: nothing of ours has such a name")
            else:
                others[owner] += _sweep(folder, owner, fates, done)
        for owner, what in (*_processes(fates, done), *_links(fates, done), *_pages(fates, done)):
            others[owner].append(what)
    done.left.extend(_of(owner, fates[owner], what) for owner, what in others.items() if what)
    return done


Fates = dict[Owner, Fate]


def _sweep(folder: Path, owner: Owner, fates: Fates, done: Swept) -> list[str]:
    """What one owner left, if it is dead; else what there is of it, in words."""
    with records.nobody_holds(folder) as free:
        count = len(records.files(folder))
        fates[owner] = _fate(owner, None if free and not count else free)
        if count == 0 and free is None:
            with contextlib.suppress(OSError):  # its owner makes it anew, if it is just beginning
                folder.rmdir()
        elif count == 0 and free:
            records.remove_folder(folder)
        elif fates[owner] is Fate.DEAD:
            # First what could still use the rest.
            done.undone.extend(_ended([c for c in owners.children() if c[1] == owner]))
            done.add(_undo_all(folder))
        elif count:
            return [f"{_count(count, 'record')} in {folder}"]
    return []


def _fate(owner: Owner, free: bool | None) -> Fate:
    """By the lock on its records. None: it has not begun, or is of an older release."""
    if free is None:
        return owners.fate(owner) if owner.here else Fate.UNKNOWN
    if owner.boot != owners.boot():
        return Fate.UNKNOWN
    return Fate.DEAD if free else Fate.LIVES


def _fate_of_parent(owner: Owner, pid: int) -> Fate:
    """It is in its child's process namespace, or further up, where we may see nothing."""
    told = owner.here or owners.namespace("pid", str(pid)) == owner.space
    return owners.fate(owner) if told else Fate.UNKNOWN


def _processes(fates: Fates, done: Swept) -> Iterator[tuple[Owner, str]]:
    """End children of dead owners, also those without records. Yields what other owners have."""
    if not owners.shows_ours():
        done.left.append("all processes: this /proc is another process namespace's, mount it anew")
    living: Counter[Owner] = Counter()
    for pid, owner in owners.children():
        if owner not in fates:
            fates[owner] = _fate_of_parent(owner, pid)
        if fates[owner] is Fate.DEAD:
            done.undone.extend(_ended([(pid, owner)]))
        else:
            living[owner] += 1
    for owner, count in living.items():
        yield owner, _count(count, "process")


def _links(fates: Fates, done: Swept) -> Iterator[tuple[Owner, str]]:
    """Remove links whose alias names a dead owner; its records were in a /run of its own. Yields
    what other owners have."""
    with contextlib.suppress(OSError, NetlinkError), IPRoute() as route:
        for link in route.get_links():
            alias, name = str(link.get("ifalias") or ""), link.get("ifname")
            owner = owners.parse(alias.removeprefix(_ALIAS)) if alias.startswith(_ALIAS) else None
            if owner is None:
                continue
            if owner not in fates:
                fates[owner] = owners.fate(owner)
            if fates[owner] is Fate.DEAD:
                route.link("del", index=link["index"])
                done.undone.append(f"link {name} (of {owner.pid})")
            else:
                yield owner, f"link {name}"


def _pages(fates: Fates, done: Swept) -> Iterator[tuple[Owner, str]]:
    """Give back huge pages of dead owners. Yields what other owners have."""
    others = []

    def is_dead(claim: str) -> bool:
        owner = owners.parse(claim.rpartition("-")[0])
        if owner is None:  # kept by `tune apply`
            return False
        if owner not in fates:
            fates[owner] = owners.fate(owner)
        if fates[owner] is not Fate.DEAD:
            others.append(owner)
        return fates[owner] is Fate.DEAD

    for name, error in give_back_of_the_dead(is_dead):
        if error is None:
            done.undone.append(f"pages {name}")
        else:
            done.left.append(f"huge pages of {name}, which has ended: {error}")
    for owner in others:
        yield owner, "huge pages"


def _count(number: int, thing: str) -> str:
    plural = "es" if thing.endswith("s") else "s"
    return f"{number} {thing}{plural if number != 1 else ''}"


def _of(owner: Owner, fate: Fate, what: list[str]) -> str:
    why = "which runs" if fate is Fate.LIVES else "of which it cannot be told whether it runs"
    return f"{', '.join(what)}: of {owner.in_words}, {why}"


def _ended(marked: list[tuple[int, Owner]]) -> list[str]:
    kill(marked)
    return [f"process {pid} (of {owner.pid})" for pid, owner in marked]


@contextmanager
def _one_at_a_time(journal: Path) -> Iterator[None]:
    """A clean asks whether an owner holds its lock by taking it: two would think each other it."""
    if not journal.is_dir():
        yield
        return
    handle = os.open(journal, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not taken(handle, _CLEAN_S):
            raise NearmetalError(f"another clean has been at {journal} for {_CLEAN_S:g} s")
        yield
    finally:
        os.close(handle)


@contextmanager
def keeps(folder: Path, kind: Kind, what: str, **more: str | None) -> Iterator[Standing]:
    """Write a record that stays; the body acts; undone only where the body fails."""
    more.setdefault("known_by", known_link(kind, what, more.get("inside")))
    file = records.write(folder, records.of_here(kind, what, owners.current(), **more))
    try:
        yield Standing(file)
    except BaseException:
        with signals.held():
            _undo_own(file)
        raise


def kept(folder: Path) -> dict[Path, Record]:
    """What is kept, the last first, by its file."""
    found = {}
    for file in records.files(folder):
        with contextlib.suppress(StrangeError):
            if (record := records.read(file)) is not None:
                found[file] = record
    return found


def restore(folder: Path) -> Iterator[str | NearmetalError]:
    """Undo what is kept, the last first: a line for each. What cannot be undone stays kept."""
    for file, record in kept(folder).items():
        try:
            words = undo(record)
        except NearmetalError as error:
            yield error
            continue
        file.unlink()
        yield words
    if not kept(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _undo_all(folder: Path) -> Swept:
    done = Swept()
    for file in records.files(folder):
        told = _undo_file(file)
        if not (told.left or told.failed):
            file.unlink(missing_ok=True)
        done.add(told)
    records.remove_folder(folder)
    return done


def _undo_own(file: Path) -> None:
    told = _undo_file(file)
    if told.failed:  # the record stays, for `clean`
        raise NearmetalError(told.failed[0])
    for words in told.left:
        print(f"nearmetal: left alone: {words}", file=sys.stderr)
    file.unlink(missing_ok=True)


def _undo_file(file: Path) -> Swept:
    """Undo one; NearmetalError is told, not raised: the rest is to be undone, too."""
    try:
        record = records.read(file)
        if record is None:  # killed while writing it: so nothing was done yet
            return Swept()
        return Swept(undone=[f"{undo(record)} (of {record.owner.pid})"])
    except FileNotFoundError:  # another clean was here first
        return Swept()
    except (LeftAloneError, StrangeError) as error:
        return Swept(left=[str(error)])
    except NearmetalError as error:
        return Swept(failed=[str(error)])


def _rename(first: Path, path: Path) -> None:
    """Never in place of another, not even an empty one."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = (_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(path))
    if libc.renameat2(*names, _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))
