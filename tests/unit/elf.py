"""A minimal kernel module: an ELF-64 file with .modinfo."""

from __future__ import annotations

import struct
from pathlib import Path

_NAMES = b"\0.modinfo\0.shstrtab\0"


def module(*depends: str, name: str = "m") -> bytes:
    """Return a module that needs these others."""
    said = f"license=GPL\0depends={','.join(depends)}\0name={name}\0".encode()
    table = 64 + len(said) + len(_NAMES)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2)
    sections = [(0, 0, 0), (1, 64, len(said)), (10, 64 + len(said), len(_NAMES))]
    headers = b"".join(
        struct.pack("<IIQQQQIIQQ", at, 1, 0, 0, offset, size, 0, 0, 1, 0)
        for at, offset, size in sections
    )
    return ident + header + said + _NAMES + headers


def tree(folder: Path, builtin: str = "", **needs: str) -> Path:
    """Write a kernel's modules: file name (`__` for a dash) -> its needs, separated by commas."""
    (folder / "kernel" / "drivers").mkdir(parents=True)
    for name, needed in needs.items():
        path = folder / "kernel" / "drivers" / f"{name.replace('__', '-')}.ko"
        path.write_bytes(module(*filter(None, needed.split(","))))
    lines = "".join(f"kernel/drivers/{name}.ko\n" for name in builtin.split())
    (folder / "modules.builtin").write_text(lines, encoding="utf-8")
    return folder


def bzimage(version: str) -> bytes:
    """Return the parts of a bzImage that are read: the setup header's magic and version string."""
    image = bytearray(0x400)
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x20E, 0x100)
    text = f"{version} (someone@somewhere) #1 SMP\0".encode()
    image[0x300 : 0x300 + len(text)] = text
    return bytes(image)
