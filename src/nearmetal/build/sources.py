"""Fetch the source of a library as files: the distribution's source package, unpacked.

Few machines have source packages (`deb-src`) among apt's sources, and the machine's configuration
must not change. So a private list names the same archives for source packages, with a separate
package-manager state. apt checks the signatures with the machine's keys; the archive is checked
once more against the hash in the index before it is opened. Debian's patches are left out: the
original archive is the upstream release.
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
    """Return why a source is unavailable here; None: it is here, or can be fetched."""
    if found(package) is not None or shutil.which("apt-get"):
        return None
    return f"{package}'s source is missing, and there is no apt-get to fetch it with"


def found(package: str) -> Path | None:
    """Return the folder that contains src/; None: the source has not been fetched."""
    folder = _folder(package)
    return folder if fetched.stamp(folder) is not None and (folder / "src").is_dir() else None


def provide(package: str) -> Path:
    """Return the folder that contains src/; fetch it if missing. Raises CannotRunError."""
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
    """Fetch a source. The index is not kept: it is twenty times the size of the archive."""
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
    """Write the machine's lists as lists of source packages, where `fetched.apt` makes apt look."""
    parts = private / fetched.SOURCES
    parts.mkdir()
    for name, text in source_lists(_machine_lists()):
        (parts / name).write_text(text, encoding="utf-8")


def _machine_lists() -> list[Path]:
    """Return the files with apt's sources, as apt-config reports them."""
    shown = fetched.run(
        ["apt-config", "shell", "F", "Dir::Etc::sourcelist/f", "P", "Dir::Etc::sourceparts/d"],
        Path("/"),
    )
    paths = dict(re.findall(r"^([FP])='(.*)'$", shown, re.MULTILINE))
    parts = Path(paths["P"]).glob("*") if "P" in paths else iter(())
    return [Path(paths["F"]), *sorted(parts)] if "F" in paths else sorted(parts)


def source_lists(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """Yield name and text of a private list for each readable list of the machine."""
    for number, path in enumerate(paths):
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue  # apt does not read it either
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue  # another list may suffice; else apt reports that it finds nothing
        make = _one_line if path.suffix == ".list" else _deb822
        yield f"{number}{path.suffix}", make(text)


def _one_line(text: str) -> str:
    """Convert the one-line format, `deb [options] URI suite components` (sources.list(5))."""
    found = re.findall(r"^[ \t]*deb(?:-src)?[ \t]+(\S.*)$", text, re.MULTILINE)
    return "".join(f"deb-src {rest}\n" for rest in dict.fromkeys(found))


def _deb822(text: str) -> str:
    """Convert deb822 stanzas; fields other than Types, also `Enabled: no`, stay unchanged."""
    types = re.compile(r"^Types:.*(?:\n[ \t].*)*", re.MULTILINE | re.IGNORECASE)
    return types.sub("Types: deb-src", text)


def _download(package: str, config: Path, lists: Path, private: Path) -> tuple[Path, str]:
    """Download the original archive; return its path and its hash in the index, "SHA256:..."."""
    command = ["apt-get", "-q", "source", "--download-only", "--only-source", package]
    shown = fetched.apt(config, lists, command[0], "--print-uris", *command[1:])
    named = re.search(r"^'\S+' (\S+\.orig\.tar\.\w+) \d+ (SHA(?:256|512):[0-9a-f]+)$", shown, re.M)
    if named is None:
        raise CannotRunError(f"apt-get finds no source package {package}")
    folder = private / "archives"
    folder.mkdir()
    fetched.apt(config, lists, *command, folder=folder)
    archive, digest = folder / named.group(1), named.group(2)
    check_hash(archive, digest)
    return archive, digest


def check_hash(path: Path, expected: str) -> None:
    """Raise CannotRunError for a file without the hash in the index ("SHA256:...")."""
    kind, _, digest = expected.partition(":")
    if hashlib.new(kind.lower(), path.read_bytes()).hexdigest() != digest:
        raise CannotRunError(f"{path.name} does not have the hash that the package index names")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the sources, headers and licence into the folder: plain files only, inside it.

    Raises CannotRunError.
    """
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
