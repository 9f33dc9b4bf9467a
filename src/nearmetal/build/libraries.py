"""The micro-libraries of an image: a hash over the objects of each, and its size in the image.

The forms of an image (a process, a virtual machine) share all libraries except those of the
platform, byte for byte; the hashes in build.json show it. Next to each image the build leaves
`<image>.libraries`, a list of names and archives, and `<image>.map`, the linker's map, which shows
the part of each archive in the image. The objects of an archive that was built are in the folder
`<archive>.p`; an archive of the distribution (DPDK's) is hashed as a file.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path


def libraries(image: Path) -> dict[str, str] | None:
    """Return library -> SHA-256 over its objects, sorted by name; None: not an image.

    Of an archive of the distribution: over the file.
    """
    listed = _archives(image)
    if listed is None:
        return None
    return {name: _hash(archive) for name, archive in listed.items()}


def library_bytes(image: Path) -> dict[str, int] | None:
    """Return library -> its bytes in the image, without .bss and unused sections.

    None: not an image.
    """
    listed, map_file = _archives(image), image.with_name(image.name + ".map")
    if listed is None or not map_file.exists():
        return None
    sizes = dict.fromkeys(listed, 0)
    names = {archive.name: name for name, archive in listed.items()}
    # The discarded sections precede this title. A long section name has its size on the next line.
    kept = map_file.read_text(encoding="utf-8").split("\nLinker script and memory map\n")[-1]
    for section, size, archive in _IN_MAP.findall(kept):
        if section not in ("bss", "comment", "note") and archive in names:
            sizes[names[archive]] += int(size, 16)
    return sizes


_IN_MAP = re.compile(
    r"^ \.(\w+)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s(?:.*/)?([\w.-]+\.a)\(?\S*\)?$", re.MULTILINE
)


def _archives(image: Path) -> dict[str, Path] | None:
    listing = image.with_name(image.name + ".libraries")
    if not listing.exists():
        return None
    lines = [line.split(" ", 1) for line in listing.read_text(encoding="utf-8").splitlines()]
    return {name: Path(archive) for name, archive in lines}


def _hash(archive: Path) -> str:
    folder = archive.with_name(archive.name + ".p")
    if not folder.is_dir():
        return hashlib.sha256(archive.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.o")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
