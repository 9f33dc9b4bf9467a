"""The guest's modules: which ones, in which order, and with which compression."""

from __future__ import annotations

import ctypes
import gzip
import lzma
from pathlib import Path

import elf
import pytest

from nearmetal.build import guest_modules
from nearmetal.build.guest_modules import Modules
from nearmetal.errors import CannotRunError


def _names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_each_comes_behind_what_it_needs(tmp_path: Path) -> None:
    folder = elf.tree(
        tmp_path, virtio_net="net_failover,virtio", net_failover="failover", failover="", virtio=""
    )
    found = _names(Modules(folder).in_order(["virtio_net", "virtio"]))
    assert found == ["failover.ko", "net_failover.ko", "virtio.ko", "virtio_net.ko"]


def test_what_is_built_in_is_no_file(tmp_path: Path) -> None:
    found = Modules(elf.tree(tmp_path, builtin="virtio", virtio_net="virtio"))
    assert _names(found.in_order(["virtio_net"])) == ["virtio_net.ko"]
    assert found.has("virtio") and not found.has("uio")


def test_a_dash_in_a_file_is_an_underscore(tmp_path: Path) -> None:
    found = Modules(elf.tree(tmp_path, vfio__pci="vfio-pci-core", vfio__pci__core=""))
    assert _names(found.in_order(["vfio_pci"])) == ["vfio-pci-core.ko", "vfio-pci.ko"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    found = Modules(elf.tree(tmp_path / "6.1-x", virtio_net="failover"))
    with pytest.raises(CannotRunError, match="has no module failover, which virtio_net needs"):
        found.in_order(["virtio_net"])


def test_a_circle_ends(tmp_path: Path) -> None:
    found = Modules(elf.tree(tmp_path, a="b", b="a"))
    with pytest.raises(CannotRunError, match="need each other: a, b, a"):
        found.in_order(["a"])


def test_packed_ones_are_unpacked(tmp_path: Path) -> None:
    plain = elf.module("virtio")
    for name, data in {"a.ko.xz": lzma.compress(plain), "b.ko.gz": gzip.compress(plain)}.items():
        (tmp_path / name).write_bytes(data)
        assert guest_modules.content(tmp_path / name) == plain
    (tmp_path / "c.ko.xz").write_bytes(b"no")
    with pytest.raises(CannotRunError, match="xz cannot be unpacked"):
        guest_modules.content(tmp_path / "c.ko.xz")


def test_zstd(tmp_path: Path) -> None:
    try:
        library = ctypes.CDLL("libzstd.so.1")
    except OSError:
        pytest.skip("libzstd is not installed")
    plain = elf.module("virtio")
    room = ctypes.create_string_buffer(2 * len(plain) + 100)
    size = library.ZSTD_compress(room, len(room), plain, len(plain), 3)
    path = tmp_path / "a.ko.zst"
    path.write_bytes(room.raw[:size])
    assert guest_modules.content(path) == plain
    path.write_bytes(room.raw[: size // 2])
    with pytest.raises(CannotRunError, match="damaged"):
        guest_modules.content(path)


@pytest.mark.parametrize("data", [b"", b"\x7fELF\x02", elf.module("x")[:200]])
def test_what_is_no_module_is_said(data: bytes) -> None:
    with pytest.raises(CannotRunError):
        guest_modules.depends(data)
