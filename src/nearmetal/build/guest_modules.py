"""Find the kernel modules that a guest needs, with their dependencies, in the order to load them.

A kernel package has no modules.dep: installation makes that file (depmod(8)), and our packages are
never installed. The dependencies are read from the section `.modinfo` of each module instead.
"""

from __future__ import annotations

import ctypes
import gzip
import lzma
import struct
from collections.abc import Sequence
from pathlib import Path

from nearmetal.errors import CannotRunError

_SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")
_UNKNOWN_SIZE = 2**64 - 2  # ZSTD_CONTENTSIZE_ERROR; the next value is ZSTD_CONTENTSIZE_UNKNOWN


class Modules:
    """The modules of one kernel: the files below a folder, and the built-in ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = {
            _name(path): path
            for path in sorted((folder / "kernel").rglob("*.ko*"))
            if path.name.endswith(_SUFFIXES)
        }
        builtin = folder / "modules.builtin"
        text = builtin.read_text(encoding="utf-8") if builtin.exists() else ""
        self._builtin = {_name(Path(line)) for line in text.splitlines()}

    def has(self, name: str) -> bool:
        """Whether the kernel has a module, as a file or built in."""
        return _plain(name) in self._files or _plain(name) in self._builtin

    def in_order(self, wanted: Sequence[str]) -> list[Path]:
        """Return the files of modules and of all their dependencies, dependencies first.

        Raises CannotRunError: a module is missing or damaged, or dependencies form a cycle.
        """
        found: dict[str, Path] = {}
        for name in wanted:
            self._add(_plain(name), (), found)
        return list(found.values())

    def _add(self, name: str, above: tuple[str, ...], found: dict[str, Path]) -> None:
        if name in found or name in self._builtin:
            return
        if name in above:
            raise CannotRunError(f"modules that need each other: {', '.join((*above, name))}")
        path = self._files.get(name)
        if path is None:
            needed = f", which {above[-1]} needs" if above else ""
            raise CannotRunError(f"{self.folder.name} has no module {name}{needed}")
        for other in depends(content(path)):
            self._add(_plain(other), (*above, name), found)
        found[name] = path


def content(path: Path) -> bytes:
    """Return a module unpacked, because not every kernel unpacks modules. Raises CannotRunError."""
    data = path.read_bytes()
    try:
        if path.suffix == ".xz":
            return lzma.decompress(data)
        if path.suffix == ".gz":
            return gzip.decompress(data)
        return _zstd(data) if path.suffix == ".zst" else data
    except (lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise CannotRunError(f"{path.name} cannot be unpacked: {error}") from None


def depends(module: bytes) -> list[str]:
    """Return a module's dependencies: the field `depends=` of .modinfo, separated by commas."""
    for field in _section(module, b".modinfo").split(b"\0"):
        name, _, value = field.partition(b"=")
        if name == b"depends":
            return [each for each in value.decode().split(",") if each]
    return []


def _section(elf: bytes, wanted: bytes) -> bytes:
    """Return a section of an ELF-64 file (gABI, section header table); b"": there is none.

    Raises CannotRunError: not an ELF-64 file, or damaged.
    """
    if elf[:5] != b"\x7fELF\x02":
        raise CannotRunError("a kernel module is not a 64-bit ELF file")
    try:
        (table,) = struct.unpack_from("<Q", elf, 40)
        size, count, names = struct.unpack_from("<HHH", elf, 58)
        headers = [struct.unpack_from("<IIQQQQ", elf, table + size * i) for i in range(count)]
        names_at = headers[names][4]
        for name, _, _, _, offset, length in headers:
            at = names_at + name
            if elf[at : elf.index(b"\0", at)] == wanted:
                return elf[offset : offset + length]
    except (struct.error, IndexError, ValueError):
        raise CannotRunError("the sections of a kernel module cannot be read") from None
    return b""


def _zstd(data: bytes) -> bytes:
    """Unpack with libzstd, which apt needs too: Python has no zstd before 3.14.

    Raises CannotRunError without the library, ValueError for bad data.
    """
    try:
        library = ctypes.CDLL("libzstd.so.1")
    except OSError:
        raise CannotRunError("a module is packed with zstd, and libzstd1 is missing") from None
    library.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong
    library.ZSTD_decompress.restype = ctypes.c_size_t
    size = library.ZSTD_getFrameContentSize(data, ctypes.c_size_t(len(data)))
    if size >= _UNKNOWN_SIZE:
        raise ValueError("its unpacked size is unknown")
    room = ctypes.create_string_buffer(size)
    done = library.ZSTD_decompress(room, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)))
    if done != size:
        raise ValueError("it is damaged")
    return room.raw


def _name(path: Path) -> str:
    return _plain(path.name.partition(".")[0])


def _plain(name: str) -> str:
    """Return a module's name in the kernel's form: files may have dashes, the kernel has `_`."""
    return name.replace("-", "_")
