"""A guest's image: the kernel, and an archive of its file system, made in Python.

The archive has the guest's first process, one server and the modules of its rung. Its file name has
its hash. It has no options: these are on the guest's command line.
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

# Mount points and the modules' folder; DPDK makes its own folder in var/run.
_FOLDERS = ("dev", "proc", "sys", "modules", "var", "var/run")
_UNUSED_S = 7 * 86400  # archives unused for longer are removed when a new one is made


class GuestImage(Frozen):
    """The files that QEMU boots."""

    kernel: str  # path
    initrd: str  # path
    release: str
    package: str | None  # of the kernel: name=version; None: the user named the kernel
    image_bytes: int  # kernel and initrd together
    sha256: str  # over the hashes of kernel and initrd


def make(kernel: Kernel, init: Path, server: Path, needed: Sequence[Path]) -> GuestImage:
    """Make the image of one server, or reuse it. needed: module files in the order to load them."""
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
    """Return the guest's whole file system."""
    loaded = [(path.name.partition(".")[0] + ".ko", guest_modules.content(path)) for path in needed]
    order = "".join(f"{name}\n" for name, _ in loaded)
    return [
        *(cpio.folder(path) for path in _FOLDERS),
        # The kernel opens the console for its first process, which has not mounted anything then.
        cpio.character_device("dev/console", 5, 1),
        cpio.file("init", init, executable=True),
        cpio.file("server", server, executable=True),
        cpio.file("modules/order", order.encode()),
        *(cpio.file(f"modules/{name}", data) for name, data in loaded),
    ]


def _write(path: Path, data: bytes) -> None:
    """Write an archive completely or not at all; remove archives that were not used for long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(data)
    Path(file.name).rename(path)
    before = time.time() - _UNUSED_S
    for other in path.parent.iterdir():
        if other.stat().st_mtime < before:
            other.unlink(missing_ok=True)
