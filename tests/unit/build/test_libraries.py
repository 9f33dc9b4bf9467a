"""The libraries of an image: each library has the same objects in every image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from nearmetal.build.libraries import libraries, library_bytes

COMMON = ("serve", "net", "netdev", "string")
PLATFORM = {"boot", "clock", "confine", "transport"}
MACHINE = {"boot", "clock", "console", "interrupts", "memory", "pci", "power", "transport"}


def of(programs: Callable[[str], Path], image: str) -> dict[str, str]:
    found = libraries(programs(image))
    assert found is not None
    return found


def test_images_share_their_libraries(programs: Callable[[str], Path]) -> None:
    kv, echo = of(programs, "nm-ukp-netdev-kv"), of(programs, "nm-ukp-netdev-echo")
    assert {name: kv[name] for name in COMMON} == {name: echo[name] for name in COMMON}
    assert kv.keys() - echo.keys() == {"service_kv"}
    assert kv.keys() >= PLATFORM
    assert len(set(kv.values())) == len(kv)  # no hash of an empty input


def test_lwip_stands_on_the_same_driver(programs: Callable[[str], Path]) -> None:
    netdev = of(programs, "nm-ukp-netdev-kv")
    listing = programs("nm-ukp-netdev-kv").with_name("nm-ukp-lwip-kv.libraries")
    if not listing.exists():
        pytest.skip("lwIP's source is missing, so its images are not built")
    lwip = of(programs, "nm-ukp-lwip-kv")
    assert lwip.keys() - netdev.keys() == {"lwip", "net_reasons"}
    assert all(lwip[name] == netdev[name] for name in lwip.keys() & netdev.keys())


@pytest.mark.parametrize("name", ["netdev-kv", "netdev-echo", "lwip-kv", "lwip-echo"])
def test_both_forms_are_made_of_the_same(programs: Callable[[str], Path], name: str) -> None:
    beside = programs("nm-ukp-netdev-kv")
    if not beside.with_name(f"nm-ukp-{name}.libraries").exists():
        pytest.skip("lwIP's source is missing, so its images are not built")
    process, machine = of(programs, f"nm-ukp-{name}"), of(programs, f"nm-uk-{name}")
    shared = process.keys() - PLATFORM
    assert shared >= {"serve", "netdev", "string"}
    assert {library: process[library] for library in shared} == {
        library: machine[library] for library in shared
    }
    assert machine.keys() - shared >= MACHINE
    assert all(process[library] != machine[library] for library in PLATFORM - {"confine"})


def test_sizes_are_what_the_linker_took(programs: Callable[[str], Path]) -> None:
    image = programs("nm-uk-netdev-kv")
    sizes = library_bytes(image)
    assert sizes is not None and sizes.keys() == of(programs, "nm-uk-netdev-kv").keys()
    assert all(size > 0 for size in sizes.values())
    assert 0.8 * image.stat().st_size < sum(sizes.values()) < image.stat().st_size
    assert library_bytes(image.with_name("nothing")) is None


def test_hash_follows_the_objects(tmp_path: Path) -> None:
    image, archive = tmp_path / "image", tmp_path / "liba.a"
    objects = tmp_path / "liba.a.p"
    objects.mkdir()
    (objects / "one.o").write_bytes(b"one")
    assert libraries(image) is None
    image.with_name("image.libraries").write_text(f"a {archive}\n")
    before = libraries(image)
    (objects / "one.o").write_bytes(b"other")
    assert before is not None and libraries(image) != before


def test_an_archive_of_the_distribution_is_hashed_as_it_is(tmp_path: Path) -> None:
    image, archive = tmp_path / "image", tmp_path / "librte_ring.a"
    archive.write_bytes(b"!<arch>\n")
    image.with_name("image.libraries").write_text(f"rte_ring {archive}\n")
    assert libraries(image) == {"rte_ring": hashlib.sha256(b"!<arch>\n").hexdigest()}


def test_dpdk_s_archives_are_among_an_image_s_libraries(programs: Callable[[str], Path]) -> None:
    listing = programs("nm-uk-netdev-kv").with_name("nm-uk-dpdk-kv.libraries")
    if not listing.exists():
        pytest.skip("an image with DPDK is not built here")
    image = programs("nm-uk-dpdk-kv")
    own, sizes = of(programs, "nm-uk-dpdk-kv"), library_bytes(image)
    assert own.keys() >= {"rte_net_virtio", "rte_ethdev", "rte_mempool", "dpdk", "pci", "string"}
    assert not own.keys() & {"netdev", "transport", "virtio"}
    netdev = of(programs, "nm-uk-netdev-kv")
    assert all(own[name] == netdev[name] for name in own.keys() & netdev.keys())
    for line in listing.read_text().splitlines():
        name, path = line.split(" ", 1)
        if name.startswith("rte_"):
            assert own[name] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert sizes is not None
    assert 0.8 * image.stat().st_size < sum(sizes.values()) < image.stat().st_size
