"""The source of a library that comes as files: the distribution's source package, unpacked.

Few machines name source packages among their sources, and that is not ours to change: a private
list names the same places once more, for source packages (`deb-src`), with a package-manager state
of our own beside it. What apt fetches is signed by whom the machine trusts; the archive is checked
against the hash in that index once more before it is opened. Debian's patches are left out: the
original archive is what the release is.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from nearmetal.build import fetched
from nearmetal.errors import CannotRunError
from nearmetal.paths import cache_dir

LWIP = "lwip"
_WANTED = re.compile(r"[^/]+/(src/(?:core|include|netif)/.+\.[ch]|COPYING)")


def why_not(package: str) -> str | None:
    """Why a source cannot be had here; None: it is there, or can be fetched."""
    if found(package) is not None or shutil.which("apt-get"):
        return None
    return f"{package}'s source is not here, and there is no apt-get to fetch it with"


def found(package: str) -> Path | None:
    """The folder with src/ in it, where it was fetched before."""
    folder = _folder(package)
    return folder if fetched.stamp(folder) is not None and (folder / "src").is_dir() else None


def provide(package: str) -> Path:
    """The same, fetched when it is not there."""
    folder = found(package)
    if folder is not None:
        return folder
    if (reason := why_not(package)) is not None:
        raise CannotRunError(reason)
    try:
        _fetch(package)
    except CannotRunError as error:
        raise CannotRunError(f"{package}'s source could not be fetched: {error}") from None
    return _folder(package)


def _folder(package: str) -> Path:
    return cache_dir() / "files" / f"{package}-source"


def _fetch(package: str) -> None:
    """The index is twenty times the archive: it is not kept."""
    with fetched.fetching() as private:
        if found(package) is not None:
            return
        config = fetched.write_config(private)
        _write_lists(private)
        lists = private / "state" / "lists"
        failed = fetched.update(config, lists)
        try:
            archive, digest = _download(package, config, lists, private)
        except CannotRunError as error:
            raise CannotRunError(failed or str(error)) from None
        unpack(archive, private / "made")
        told = {"archive": archive.name, "hash": digest}
        fetched.publish(private / "made", _folder(package), told)


def _write_lists(private: Path) -> None:
    """The machine's sources, as sources of source packages, where `fetched.apt` makes apt look."""
    parts = private / fetched.SOURCES
    parts.mkdir()
    for name, text in source_lists(_machine_lists()):
        (parts / name).write_text(text, encoding="utf-8")


def _machine_lists() -> list[Path]:
    """apt's own word on where its sources are named."""
    shown = fetched.run(
        ["apt-config", "shell", "F", "Dir::Etc::sourcelist/f", "P", "Dir::Etc::sourceparts/d"],
        Path("/"),
    )
    paths = dict(re.findall(r"^([FP])='(.*)'$", shown, re.MULTILINE))
    parts = Path(paths["P"]).glob("*") if "P" in paths else iter(())
    return [Path(paths["F"]), *sorted(parts)] if "F" in paths else sorted(parts)


def source_lists(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """Name and text of a private list for each of apt's that can be read."""
    for number, path in enumerate(paths):
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue  # apt does not read it either
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue  # others will do, or apt finds nothing
        make = _one_line if path.suffix == ".list" else _deb822
        yield f"{number}{path.suffix}", make(text)


def _one_line(text: str) -> str:
    """`deb [options] where suite parts`, a line each (sources.list(5))."""
    found = re.findall(r"^[ \t]*deb(?:-src)?[ \t]+(\S.*)$", text, re.MULTILINE)
    return "".join(f"deb-src {rest}\n" for rest in dict.fromkeys(found))


def _deb822(text: str) -> str:
    """Stanzas of fields; all others, `Enabled: no` too, stay as they are."""
    types = re.compile(r"^Types:.*(?:\n[ \t].*)*", re.MULTILINE | re.IGNORECASE)
    return types.sub("Types: deb-src", text)


def _download(package: str, config: Path, lists: Path, private: Path) -> tuple[Path, str]:
    """The original archive, and its hash as "SHA256:...": of the two one that the index names."""
    command = ["apt-get", "-q", "source", "--download-only", "--only-source", package]
    shown = fetched.apt(config, lists, command[0], "--print-uris", *command[1:])
    named = re.search(r"^'\S+' (\S+\.orig\.tar\.\w+) \d+ (SHA(?:256|512):[0-9a-f]+)$", shown, re.M)
    if named is None:
        raise CannotRunError(f"apt-get knows no source package {package}")
    folder = private / "archives"
    folder.mkdir()
    fetched.apt(config, lists, *command, folder=folder)
    archive, digest = folder / named.group(1), named.group(2)
    check_hash(archive, digest)
    return archive, digest


def check_hash(path: Path, expected: str) -> None:
    """Refuse a file that is not what the index names."""
    kind, _, digest = expected.partition(":")
    if hashlib.new(kind.lower(), path.read_bytes()).hexdigest() != digest:
        raise CannotRunError(f"{path.name} does not have the hash that the package index names")


def unpack(archive: Path, folder: Path) -> None:
    """What is compiled and included, and the licence: plain files, inside the folder."""
    with tarfile.open(archive) as tar:
        for member in tar:
            wanted = _WANTED.fullmatch(member.name)
            if wanted is None or not member.isreg():
                continue
            path = PurePosixPath(wanted.group(1))
            content = tar.extractfile(member)
            if ".." in path.parts or content is None:
                raise CannotRunError(f"{archive.name} holds {member.name}, which is no plain file")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content.read())
    if not (folder / "src").is_dir():
        raise CannotRunError(f"{archive.name} holds no sources")
