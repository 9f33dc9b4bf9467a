"""bzImage files (kernels for x86): the release, and the folder of its modules."""

from __future__ import annotations

import struct
from pathlib import Path

from nearmetal.errors import BadInputError, CannotRunError


def read(image: Path) -> tuple[str, Path]:
    """Return the release, and the folder of its modules: beside the image, or this machine's.

    BadInputError: not a bzImage. CannotRunError: no modules.
    """
    if not image.is_file():
        raise BadInputError(f"{image}: no such kernel")
    name = release(image.read_bytes())
    whole = image.parent.parent
    places = [whole / "lib/modules" / name, whole / "usr/lib/modules" / name]
    places.append(Path("/lib/modules") / name)
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise CannotRunError(f"{image.name}: no modules of {name} beside it or in /lib/modules")
    return name, folder


def release(image: bytes) -> str:
    """Return the release that uname -r will print (Documentation/x86/boot: kernel_version)."""
    if image[0x202:0x206] != b"HdrS":
        raise BadInputError("no bzImage: a Linux kernel for x86 is expected")
    (offset,) = struct.unpack_from("<H", image, 0x20E)
    words = image[0x200 + offset :][:256].partition(b"\0")[0].split()
    if offset == 0 or not words:
        raise BadInputError("a kernel without a version in its header")
    return words[0].decode(errors="replace")
