"""A guest's image: the kernel, and the archive of its file system, made in Python in one go.

The archive holds the guest's first process, one server and the modules of its rung. It is kept
under its hash; what a guest is told at its start is not in it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from nearmetal.build import guest_modules
from nearmetal.build.guest_kernel import Kernel
from nearmetal.dut import cpio
from nearmetal.paths import cache_dir
from nearmetal.samples import Frozen

# Mounted upon, or, the last, where DPDK makes a folder of its own.
_FOLDERS = ("dev", "proc", "sys", "modules", "var", "var/run")
_UNUSED_S = 7 * 86400  # after that an archive goes when a new one is made


class GuestImage(Frozen):
    """What QEMU is given."""

    kernel: str  # path
    initrd: str  # path
    release: str
    package: str | None  # of the kernel: name=version; None: it was given
    image_bytes: int  # both
    sha256: str  # over the hashes of both


def make(kernel: Kernel, init: Path, server: Path, needed: Sequence[Path]) -> GuestImage:
    """The image of one server; `needed`: files of modules in the order of their loading."""
    data = cpio.archive(entries(init.read_bytes(), server.read_bytes(), needed))
    digest = hashlib.sha256(data).hexdigest()
    initrd = cache_dir() / "guests" / f"{server.name}-{digest[:16]}.cpio"
    if initrd.exists():
        os.utime(initrd)
    else:
        _write(initrd, data)
    image = kernel.image.read_bytes()
    both = hashlib.sha256(hashlib.sha256(image).digest() + bytes.fromhex(digest))
    return GuestImage(
        kernel=str(kernel.image),
        initrd=str(initrd),
        release=kernel.release,
        package=kernel.package,
        image_bytes=len(image) + len(data),
        sha256=both.hexdigest(),
    )


def entries(init: bytes, server: bytes, needed: Sequence[Path]) -> list[cpio.Entry]:
    """The guest's whole file system."""
    loaded = [(path.name.partition(".")[0] + ".ko", guest_modules.content(path)) for path in needed]
    order = "".join(f"{name}\n" for name, _ in loaded)
    return [
        *(cpio.folder(path) for path in _FOLDERS),
        # What the kernel opens for its first process, before that has mounted anything.
        cpio.character_device("dev/console", 5, 1),
        cpio.file("init", init, executable=True),
        cpio.file("server", server, executable=True),
        cpio.file("modules/order", order.encode()),
        *(cpio.file(f"modules/{name}", data) for name, data in loaded),
    ]


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all; what nobody has used for long goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).rename(path)
    before = time.time() - _UNUSED_S
    for other in path.parent.iterdir():
        if other.stat().st_mtime < before:
            other.unlink(missing_ok=True)
