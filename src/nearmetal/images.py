"""What an image is made of: its micro-libraries, and a hash of the objects of each.

The forms of an image (a process now) share all libraries but those of the platform, byte for byte:
the hashes in build.json show it. Beside each image the build leaves a list, `<image>.libraries`, of
names and archives; the objects of an archive lie in the folder that bears its name and `.p`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path


def libraries(image: Path) -> dict[str, str] | None:
    """Library -> SHA-256 over its objects, in the order of their names; None: no image."""
    listing = image.with_name(image.name + ".libraries")
    if not listing.exists():
        return None
    lines = [line.split(" ", 1) for line in listing.read_text(encoding="utf-8").splitlines()]
    return {name: _hash(Path(archive)) for name, archive in lines}


def _hash(archive: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(archive.with_name(archive.name + ".p").glob("*.o")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
