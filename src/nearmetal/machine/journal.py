"""Journal: each change on the machine is written down before the act, and undone from the record.

A record is one small file (records.py), removed after the undo (undo.py). The end of a `with` and
`clean` after a kill run the same undo, so there is one code path.

A change that must outlive its process (`tune apply`) is kept in a separate folder, which `clean`
ignores: `restore` undoes it, or the next boot.
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
_ALIAS = "nearmetal "  # beginning of a link's alias; the owner follows


@dataclass(frozen=True)
class Standing:
    """A record of a thing that exists now."""

    file: Path

    def came_about(self, known_by: str) -> None:
        """Add how the thing is recognised, if this is clear only after the act."""
        records.add_known_by(self.file, known_by)


@dataclass(frozen=True)
class Journal:
    """The records of one owner: directory/OWNER/, numbered in the order of the acts."""

    directory: Path
    owner: Owner
    lock: OwnerLock = field(default_factory=OwnerLock, compare=False, repr=False)

    @contextmanager
    def holds(self, kind: Kind, what: str, **more: str | None) -> Iterator[Standing]:
        """Write the record; the body acts; undo when the body ends, also by an exception.

        more: the other fields of the record, as undo.py describes them for each kind.
        """
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
        """Hold a link that the body makes; yield the index that the link must get."""
        low, high = _INDEXES
        index = low + secrets.randbelow(high - low)
        where = None if inside is None else str(inside)
        with self.holds("link", name, inside=where, known_by=str(index)):
            yield index

    @contextmanager
    def folder(self, path: Path) -> Iterator[Path]:
        """Make a new folder and hold it. OSError: the path exists already.

        The folder has a random name until its identity is written to the record.
        """
        first = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with self.holds("path", str(path), inside=str(first)) as record:
            first.mkdir(mode=0o700, parents=True)
            record.came_about(str(identity(first)))
            _rename(first, path)
            yield path

    def alias(self) -> str:
        """Return the alias of this owner's links (ip -d link)."""
        return f"{_ALIAS}{self.owner}"

    def close(self) -> None:
        """Undo all records that are left: a signal may arrive just before a `with` holds one."""
        with signals.held():
            _undo_all(self.directory / str(self.owner))


@dataclass(frozen=True)
class Swept:
    """Results of `clean`: undone, left alone (belongs to other owners), failed to undo."""

    undone: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, other: Swept) -> None:
        self.undone.extend(other.undone)
        self.left.extend(other.left)
        self.failed.extend(other.failed)


def open_journal(directory: Path | None = None) -> Journal:
    """Return the journal of this process."""
    return Journal((directory or owners.state_directory()) / "journal", owners.current())


@contextmanager
def changed(journal: Journal, file: Path, value: str) -> Iterator[None]:
    """Set a sysfs or sysctl file to another value while the body runs."""
    old = file.read_text(encoding="ascii").strip()
    with journal.holds("value", str(file), old=old, new=value) as record:
        file.write_text(value, encoding="ascii")
        record.came_about(file.read_text(encoding="ascii").strip())
        yield


def clean(directory: Path | None = None) -> list[str]:
    """Undo the changes of dead owners. Return one line for each change that was undone."""
    done = swept(directory)
    if done.failed:
        raise NearmetalError("; ".join(done.failed))
    return done.undone


def behind(directory: Path | None = None) -> list[str]:
    """Return one line for each record and process that `clean` would undo. Changes nothing."""
    journal, fates = (directory or owners.state_directory()) / "journal", dict[Owner, Fate]()
    found = []
    for folder in sorted(journal.iterdir()) if journal.is_dir() else []:
        if (owner := owners.parse(folder.name)) is not None and (there := kept(folder)):
            with records.held_by_none(folder) as free:
                fates[owner] = _fate(owner, free)
            if fates[owner] is Fate.DEAD:
                found += [f"{each.kind} {each.what} (of {owner.pid})" for each in there.values()]
    for pid, owner in owners.children():
        if (fates.get(owner) or _fate_of_parent(owner, pid)) is Fate.DEAD:
            found.append(f"process {pid} (of {owner.pid})")
    return found


def swept(directory: Path | None = None) -> Swept:
    """Undo the changes of dead owners. Return what was undone, left alone, and failed."""
    journal = (directory or owners.state_directory()) / "journal"
    done, fates, others = Swept(), dict[Owner, Fate](), defaultdict[Owner, list[str]](list)
    with _one_at_a_time(journal):
        folders = sorted(journal.iterdir()) if journal.is_dir() else []
        for folder in (each for each in folders if each.is_dir()):
            if (owner := owners.parse(folder.name)) is None:
                done.left.append(f"{folder}: not the name of a nearmetal journal")
            else:
                others[owner] += _sweep(folder, owner, fates, done)
        for owner, what in (*_processes(fates, done), *_links(fates, done), *_pages(fates, done)):
            others[owner].append(what)
    done.left.extend(_of(owner, fates[owner], what) for owner, what in others.items() if what)
    return done


Fates = dict[Owner, Fate]


def _sweep(folder: Path, owner: Owner, fates: Fates, done: Swept) -> list[str]:
    """Undo the changes of one owner if it is dead; else describe in words what it has."""
    with records.held_by_none(folder) as free:
        count = len(records.files(folder))
        fates[owner] = _fate(owner, None if free and not count else free)
        if count == 0 and free is None:
            with contextlib.suppress(OSError):  # an owner that is just starting makes it again
                folder.rmdir()
        elif count == 0 and free:
            records.remove_folder(folder)
        elif fates[owner] is Fate.DEAD:
            # End processes first: they could still use what the records name.
            done.undone.extend(_ended([c for c in owners.children() if c[1] == owner]))
            done.add(_undo_all(folder))
        elif count:
            return [f"{_count(count, 'record')} in {folder}"]
    return []


def _fate(owner: Owner, free: bool | None) -> Fate:
    """Judge an owner by the lock on its records. free is None: not started, or an older release."""
    if free is None:
        return owners.fate(owner) if owner.here else Fate.UNKNOWN
    if owner.boot != owners.boot():
        return Fate.UNKNOWN
    return Fate.DEAD if free else Fate.LIVES


def _fate_of_parent(owner: Owner, pid: int) -> Fate:
    """Judge the parent of `pid`: it may be in a process namespace that this process cannot see."""
    told = owner.here or owners.namespace("pid", str(pid)) == owner.space
    return owners.fate(owner) if told else Fate.UNKNOWN


def _processes(fates: Fates, done: Swept) -> Iterator[tuple[Owner, str]]:
    """End the children of dead owners, also children without records.

    Yields each other owner that has processes, with their number in words.
    """
    if not owners.shows_ours():
        done.left.append("all processes: /proc is of another process namespace, mount a new one")
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
    """Remove links whose alias names a dead owner whose records were in another /run.

    Yields each other owner that has a link, with the link's name.
    """
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
    """Give back the huge pages of dead owners. Yields each other owner that has huge pages."""
    others = []

    def is_dead(claim: str) -> bool:
        owner = owners.parse(claim.rpartition("-")[0])
        if owner is None:  # a claim that `tune apply` keeps
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
    why = "which runs" if fate is Fate.LIVES else "which may still run: its state cannot be read"
    return f"{', '.join(what)}: of {owner.in_words}, {why}"


def _ended(marked: list[tuple[int, Owner]]) -> list[str]:
    kill(marked)
    return [f"process {pid} (of {owner.pid})" for pid, owner in marked]


@contextmanager
def _one_at_a_time(journal: Path) -> Iterator[None]:
    """Let one `clean` run at a time: it tests an owner's lock by taking it, as others would."""
    if not journal.is_dir():
        yield
        return
    handle = os.open(journal, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not taken(handle, _CLEAN_S):
            raise NearmetalError(f"another clean has held {journal} for {_CLEAN_S:g} s")
        yield
    finally:
        os.close(handle)


@contextmanager
def keeps(folder: Path, kind: Kind, what: str, **more: str | None) -> Iterator[Standing]:
    """Write a record that stays after the body; undo it only if the body fails."""
    more.setdefault("known_by", known_link(kind, what, more.get("inside")))
    file = records.write(folder, records.of_here(kind, what, owners.current(), **more))
    try:
        yield Standing(file)
    except BaseException:
        with signals.held():
            _undo_own(file)
        raise


def kept(folder: Path) -> dict[Path, Record]:
    """Return the kept records by file, the newest first."""
    found = {}
    for file in records.files(folder):
        with contextlib.suppress(StrangeError):
            if (record := records.read(file)) is not None:
                found[file] = record
    return found


def restore(folder: Path) -> Iterator[str | NearmetalError]:
    """Undo the kept records, the newest first; yield a line or an error for each.

    A record that cannot be undone stays.
    """
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
    if told.failed:  # the record stays for `clean`
        raise NearmetalError(told.failed[0])
    for words in told.left:
        print(f"nearmetal: left alone: {words}", file=sys.stderr)
    file.unlink(missing_ok=True)


def _undo_file(file: Path) -> Swept:
    """Undo one record. A NearmetalError is returned, not raised, so that other records follow."""
    try:
        record = records.read(file)
        if record is None:  # killed while writing the record: nothing was done
            return Swept()
        return Swept(undone=[f"{undo(record)} (of {record.owner.pid})"])
    except FileNotFoundError:  # another clean has already undone this record
        return Swept()
    except (LeftAloneError, StrangeError) as error:
        return Swept(left=[str(error)])
    except NearmetalError as error:
        return Swept(failed=[str(error)])


def _rename(first: Path, path: Path) -> None:
    """Rename, but never replace an existing path, not even an empty folder."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = (_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(path))
    if libc.renameat2(*names, _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(path))
