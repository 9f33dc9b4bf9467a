"""Programs that are fetched as files: when again, from which lists, and to where."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from nearmetal.build import fetched, guest_kernel, meson, programs, sources
from nearmetal.errors import CannotRunError

LIBRARIES = "usr/lib/x86_64-linux-gnu"
needs_pkg_config = pytest.mark.skipif(shutil.which("pkg-config") is None, reason="no pkg-config")


@pytest.fixture(params=["cache", "a cache of 'mine' 100%"])
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a machine without the programs, which can fetch them."""
    base = tmp_path / request.param
    monkeypatch.setenv("XDG_CACHE_HOME", str(base))
    monkeypatch.delenv("PKG_CONFIG_PATH", raising=False)
    monkeypatch.setattr(fetched.shutil, "which", lambda name: name if name == "apt-get" else None)
    made: Path = base / "nearmetal"
    made.mkdir(parents=True)
    return made


class Archive:
    """A replacement for apt-get, which records its calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.machines_lists = self.online = True
        monkeypatch.setattr(fetched, "apt", self.apt)
        monkeypatch.setattr(fetched, "_unpack", self.unpack)

    def apt(self, config: Path, lists: Path, *words: str, folder: Path = Path("/")) -> str:
        self.asked.append(words[-1])
        return "" if self.online else "Err:1 http://x y\n  Could not resolve 'x'\n"

    def unpack(self, program: str, config: Path, lists: Path, debs: Path, made: Path) -> list[str]:
        ours = lists != fetched._MACHINES_LISTS
        if not (self.online if ours else self.machines_lists):
            raise CannotRunError("E: 404  Not Found")
        self.asked.append(f"{program} {'ours' if ours else 'others'}")
        pc = made / LIBRARIES / "pkgconfig"
        pc.mkdir(parents=True)
        (made / "usr/bin").mkdir()
        (made / "usr/bin" / program).touch()
        (pc / "libdpdk.pc").write_text(PC)
        return [f"{program}=1"]


PC = """\
prefix=/usr
libdir=${prefix}/lib/x86_64-linux-gnu
includedir=/usr/include

Name: DPDK
Description: at /usr, but for =/usr
Version: 1
Libs: -L${libdir} -lrte
Cflags: -I${includedir}/dpdk
"""


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Archive:
    return Archive(monkeypatch)


def test_what_is_there_is_not_fetched_again(cache: Path, archive: Archive) -> None:
    path, library_path = fetched.provide("memcached")
    assert path.exists() and path.is_relative_to(cache)
    assert library_path == str(cache / "files/memcached" / LIBRARIES)
    archive.asked.clear()
    archive.online = archive.machines_lists = False
    assert fetched.provide("memcached") == (path, library_path)
    assert not archive.asked


def test_lists_older_than_the_archive_are_read_anew(cache: Path, archive: Archive) -> None:
    archive.machines_lists = False
    fetched.provide("memcached")
    assert archive.asked == ["update", "memcached ours"]


def test_without_a_network_the_reason_is_told(cache: Path, archive: Archive) -> None:
    archive.machines_lists = archive.online = False
    with pytest.raises(CannotRunError, match=r"memcached is not installed.*Could not resolve 'x'"):
        fetched.provide("memcached")
    assert not (cache / "files").exists()


@pytest.mark.parametrize("harm", ["unfinished", "torn", "of another kind", "moved", "no program"])
def test_what_does_not_fit_is_fetched_anew(harm: str, cache: Path, archive: Archive) -> None:
    path, _ = fetched.provide("dpdk-testpmd")
    folder = cache / "files/dpdk-testpmd"
    stamp = folder / fetched.STAMP
    match harm:
        case "unfinished":
            stamp.unlink()
        case "torn":
            stamp.write_text('{"pack')
        case "of another kind":
            stamp.write_text("[1]")
        case "moved":  # its pkg-config files name another folder
            stamp.write_text(json.dumps({"folder": "/elsewhere"}))
        case "no program":
            path.unlink()
    assert fetched.pkg_config() == {}, "an incomplete library must not be found"
    archive.asked.clear()
    assert fetched.provide("dpdk-testpmd")[0].exists()
    assert archive.asked == ["dpdk-testpmd others"]
    assert fetched.pkg_config()


def test_a_stamp_of_the_release_before_will_do(cache: Path, archive: Archive) -> None:
    fetched.provide("memcached")
    (cache / "files/memcached" / fetched.STAMP).write_text('{"packages": ["memcached=1"]}\n')
    archive.asked.clear()
    fetched.provide("memcached")
    assert not archive.asked


def test_what_a_killed_fetch_left_is_removed(cache: Path, archive: Archive) -> None:
    (cache / "fetch-dead" / "whole").mkdir(parents=True)
    fetched.provide("memcached")
    assert sorted(path.name for path in cache.iterdir()) == ["apt", "files"]


@pytest.mark.parametrize(
    ("looks", "provide"),
    [
        ((fetched, "_is_there"), lambda: fetched.provide("memcached")),
        ((sources, "found"), lambda: sources.provide(sources.LWIP)),
        ((guest_kernel, "_told"), guest_kernel.provide),
    ],
    ids=["program", "source", "kernel"],
)
def test_what_another_fetched_meanwhile_is_not_fetched_again(
    looks: tuple[ModuleType, str],
    provide: Callable[[], object],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A fetched file may be in use already. Here it exists only once the lock is held."""
    held = False

    @contextmanager
    def fetching() -> Iterator[Path]:
        nonlocal held
        held = True
        yield cache

    def fail(private: Path) -> Path:
        raise AssertionError("it is fetched again")

    found = (cache / "image", "kernel=1")
    monkeypatch.setattr(*looks, lambda *_: found if held else None)
    monkeypatch.setattr(guest_kernel, "_kernel", lambda image, package: image)
    monkeypatch.setattr(fetched, "fetching", fetching)
    monkeypatch.setattr(fetched, "write_config", fail)
    provide()
    assert held


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_a_cache_that_cannot_be_written_to(cache: Path, archive: Archive) -> None:
    cache.chmod(0o500)
    with pytest.raises(CannotRunError, match="cannot write to"):
        fetched.provide("memcached")


@needs_pkg_config
def test_fetched_libraries_are_found_where_they_lie(cache: Path, archive: Archive) -> None:
    fetched.provide("dpdk-testpmd")
    environment = os.environ | fetched.pkg_config()
    done = subprocess.run(
        ["/usr/bin/env", "pkg-config", "--cflags", "--libs", "libdpdk"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    place = cache / "files/dpdk-testpmd/usr"
    assert shlex.split(done.stdout) == [
        f"-I{place}/include/dpdk", f"-L{place}/lib/x86_64-linux-gnu", "-lrte",
    ]  # fmt: skip
    text = (place / "lib/x86_64-linux-gnu/pkgconfig/libdpdk.pc").read_text()
    assert "Description: at /usr, but for =/usr\n" in text


@pytest.mark.parametrize("odd", [",", "é", "#", "$", "\\"])
def test_what_pkg_config_and_linker_cannot_carry_costs_dpdk_alone(
    odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"a{odd}b"))
    monkeypatch.delenv("PKG_CONFIG_PATH", raising=False)
    reason = fetched.unfit()
    assert reason is not None and odd in reason and "XDG_CACHE_HOME" in reason
    assert len(reason.splitlines()) == 1
    (tmp_path / f"a{odd}b/nearmetal").mkdir(parents=True)
    (tmp_path / f"a{odd}b/nearmetal/dpdk.wanted").touch()
    monkeypatch.setattr(meson, "has_package", lambda name: False)
    assert programs.why_not("nm-dpdk-kv") == reason
    assert fetched.pkg_config() == {}
    assert programs.library_of("nm-mmsg-kv") is None  # programs without DPDK are built


def test_libraries_of_two_folders_come_together(tmp_path: Path) -> None:
    other = tmp_path / "lib/x86_64-linux-gnu"
    other.mkdir(parents=True)
    (other / "liba.so.1").write_text("")
    fetched._relocate(tmp_path, tmp_path)
    assert (tmp_path / LIBRARIES / "liba.so.1").exists()


def test_pkg_config_looks_in_the_users_places_too(
    cache: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched.provide("dpdk-testpmd")
    monkeypatch.setenv("PKG_CONFIG_PATH", "/opt/x")
    folder = cache / "files/dpdk-testpmd" / LIBRARIES / "pkgconfig"
    assert fetched.pkg_config() == {"PKG_CONFIG_PATH": f"{folder}:/opt/x"}


def test_a_library_comes_as_files_once(
    cache: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        fetched.provide_library("libx-dev")
    assert archive.asked == ["libx-dev others"]
    folder = cache / "files/libx-dev" / LIBRARIES / "pkgconfig"
    assert fetched.pkg_config() == {"PKG_CONFIG_PATH": str(folder)}
    next(folder.glob("*.pc")).unlink()
    assert fetched.pkg_config() == {}, "an incomplete library must not be found"
    names = ("libx-dev", "libx2", "tool")
    needed = [name for name in names if fetched._is_needed(name, "libx-dev")]
    assert needed == ["libx-dev", "libx2"]


def test_only_the_program_and_libraries_are_fetched() -> None:
    names = ("dpdk-dev", "libdpdk-dev", "librte-eal23", "zlib1g", "rdma-core", "udev", "adduser")
    needed = [name for name in names if fetched._is_needed(name, "dpdk-testpmd")]
    assert needed == ["dpdk-dev", "libdpdk-dev", "librte-eal23", "zlib1g"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"image": 1}', '{"image": "gone"}'])
def test_a_kernel_or_source_of_another_layout_is_not_found(text: str, cache: Path) -> None:
    for name in ("guest-kernel", "lwip-source"):
        (cache / "files" / name).mkdir(parents=True)
        (cache / "files" / name / fetched.STAMP).write_text(text)
    assert guest_kernel.package() is None and not guest_kernel.found()
    assert sources.found(sources.LWIP) is None


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_apt_get_takes_our_configuration(cache: Path) -> None:
    config = fetched.write_config(cache / "apt")
    lists = cache / "apt" / "state" / "lists"
    shown = fetched.apt(config, lists, "apt-config", "dump")
    assert f'Dir::Cache "{cache}/apt/cache";' in shown
    assert f'Dir::State "{cache}/apt/state";' in shown
    assert f'Dir::State::lists "{lists}";' in shown
    fetched.apt(config, lists, "apt-get", "-q", "indextargets")
