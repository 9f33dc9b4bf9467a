"""What an image is made of: its micro-libraries, a hash of the objects of each, and its size.

The forms of an image (a process, a virtual machine) share all libraries but those of the platform,
byte for byte: the hashes in build.json show it. Beside each image the build leaves a list,
`<image>.libraries`, of names and archives; the objects of an archive lie in the folder that bears
its name and `.p`; and the linker's map, `<image>.map`, which says what of each is in the image.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path


def libraries(image: Path) -> dict[str, str] | None:
    """Library -> SHA-256 over its objects, in the order of their names; None: no image."""
    listed = _archives(image)
    if listed is None:
        return None
    return {name: _hash(archive) for name, archive in listed.items()}


def library_bytes(image: Path) -> dict[str, int] | None:
    """Library -> bytes of it in the image, those that are zero at its start left out; None: no
    image. What the linker found unused does not count."""
    listed, map_file = _archives(image), image.with_name(image.name + ".map")
    if listed is None or not map_file.exists():
        return None
    sizes = dict.fromkeys(listed, 0)
    names = {archive.name: name for name, archive in listed.items()}
    # Behind the sections that it left out; a long name has the rest on a line of its own.
    kept = map_file.read_text(encoding="utf-8").split("\nLinker script and memory map\n")[-1]
    for section, size, archive in _IN_MAP.findall(kept):
        if section not in ("bss", "comment", "note") and archive in names:
            sizes[names[archive]] += int(size, 16)
    return sizes


_IN_MAP = re.compile(
    r"^ \.(\w+)\S*\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s(?:\S*/)?([\w.-]+\.a)\(?\S*\)?$", re.MULTILINE
)


def _archives(image: Path) -> dict[str, Path] | None:
    listing = image.with_name(image.name + ".libraries")
    if not listing.exists():
        return None
    lines = [line.split(" ", 1) for line in listing.read_text(encoding="utf-8").splitlines()]
    return {name: Path(archive) for name, archive in lines}


def _hash(archive: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(archive.with_name(archive.name + ".p").glob("*.o")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
