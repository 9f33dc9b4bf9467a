"""Make a file system that the kernel unpacks at its start: an archive in cpio's `newc` format.

Source: the kernel's Documentation, driver-api/early-userspace/buffer-format. A record is a header
of 110 ASCII bytes, the name with its NUL, and the content. Headers and contents start at multiples
of four bytes.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

_MAGIC = b"070701"
_END = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """A file, folder or device of the archive, owned by root."""

    path: str  # without a leading slash
    mode: int  # file type and permissions: inode(7)
    content: bytes = b""
    device: tuple[int, int] = (0, 0)  # major and minor number of a device


def folder(path: str) -> Entry:
    """Return an empty folder."""
    return Entry(path, stat.S_IFDIR | 0o755)


def file(path: str, content: bytes, *, executable: bool = False) -> Entry:
    """Return a file that may be read, or also executed."""
    return Entry(path, stat.S_IFREG | (0o755 if executable else 0o644), content)


def character_device(path: str, major: int, minor: int) -> Entry:
    """Return a device node."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """Return an archive: the same bytes for the same entries, without times or device numbers."""
    pieces = [_record(entry, number) for number, entry in enumerate(entries, 1)]
    return b"".join([*pieces, _record(Entry(_END, 0), 0)])


def _record(entry: Entry, number: int) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        *(number, entry.mode, 0, 0, links, 0, len(entry.content)),  # 0: uid, gid, mtime
        *(0, 0, *entry.device, len(name), 0),  # 0: device of the file itself, checksum
    )
    header = _MAGIC + b"".join(b"%08x" % field for field in fields)
    return _padded(header + name) + _padded(entry.content)


def _padded(piece: bytes) -> bytes:
    return piece + b"\0" * (-len(piece) % 4)
