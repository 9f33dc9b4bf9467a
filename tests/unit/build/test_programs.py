"""Facts about a program, and where fetched programs are put."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from nearmetal.build import fetched, meson, programs
from nearmetal.errors import CannotRunError
from nearmetal.spec.programs import program_of, programs_beside
from nearmetal.spec.rungs import RUNGS, find


def test_size_counts_the_shared_libraries() -> None:
    python = Path(sys.executable).resolve()
    program = programs.describe_program(python)
    assert program.image_bytes > python.stat().st_size  # libc at least
    assert program.sha256 == hashlib.sha256(python.read_bytes()).hexdigest()
    assert program.argv() == [str(python)]


def test_fetched_programs_bring_their_libraries() -> None:
    program = programs.Program(path="/x/bin/y", image_bytes=1, sha256="", library_path="/x/lib")
    assert program.argv() == ["env", "LD_LIBRARY_PATH=/x/lib", "/x/bin/y"]


def test_every_rung_names_a_program() -> None:
    for rung in RUNGS:
        for service in rung.services:
            assert program_of(rung, service)


def test_what_stands_beside_a_rungs_program() -> None:
    assert program_of(find("ukp-netdev"), "kv") == "nm-ukp-netdev-kv"
    assert set(programs_beside(find("ukp-netdev"))) == {
        "nm-load-vhost", "nm-tender", "nm-relay",
    }  # fmt: skip
    assert programs_beside(find("host-sock")) == ["nm-load"]
    assert programs_beside(find("ceiling")) == ["nm-load-vhost"]


def test_what_is_not_in_the_build_is_missing_with_a_reason() -> None:
    with pytest.raises(CannotRunError, match=r"."):
        programs.foreign("nm-never-kv")


@pytest.mark.parametrize("program", ["nm-dpdk-kv", "nm-dpdk-echo", "dpdk-testpmd"])
def test_without_dpdk_the_package_is_named(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meson, "has_package", lambda name: name != "libdpdk")
    monkeypatch.setattr(fetched, "why_not", lambda name: None)
    monkeypatch.setattr(fetched, "dpdk_wanted", lambda: False)
    assert programs.why_not(program).startswith("no DPDK here")
    assert programs.why_not("nm-sock-kv") is None
    with pytest.raises(CannotRunError, match="no DPDK here"):
        programs.foreign(program)  # nothing is fetched either


@pytest.mark.parametrize("version", ["24.11.3", "23.11"])
def test_an_image_needs_the_release_of_dpdk_that_it_was_written_for(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meson, "has_package", lambda name: True)
    monkeypatch.setattr(meson, "package_version", lambda name: version)
    reason = programs.why_not("nm-uk-dpdk-kv")
    assert reason is not None and "needs DPDK 22.11" in reason and version in reason
    assert programs.why_not("nm-guest-dpdk-kv") is None
    assert programs.why_not("nm-uk-netdev-kv") is None
    monkeypatch.setattr(meson, "package_version", lambda name: "22.11.11")
    assert programs.why_not("nm-uk-dpdk-kv") is None


def test_a_package_with_another_hash_is_refused(tmp_path: Path) -> None:
    deb = tmp_path / "a.deb"
    deb.write_bytes(b"right")
    right = hashlib.sha256(b"right").hexdigest()
    fetched._check_hash(deb, f"Package: a\nSHA256: {right}\n")
    deb.write_bytes(b"wrong")
    with pytest.raises(CannotRunError, match="does not have the hash"):
        fetched._check_hash(deb, f"Package: a\nSHA256: {right}\n")


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed")
def test_a_program_comes_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without it fetches it from its own package sources."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fetched.shutil, "which", lambda name: None if name == "memcached" else name)
    try:
        path, library_path = fetched.provide("memcached")
    except CannotRunError as error:
        if "hash" in str(error):
            raise
        pytest.skip(f"no package source can be reached: {error}")
    assert path.is_relative_to(tmp_path)
    assert library_path is not None
    program = programs.describe_program(path, library_path)
    assert program.image_bytes > path.stat().st_size


def test_dpdk_is_fetched_once_it_was_agreed_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(meson, "has_package", lambda name: name != "libdpdk")
    assert programs.why_not("nm-dpdk-kv") is not None
    cache = tmp_path / "nearmetal"
    cache.mkdir()
    (cache / "dpdk.wanted").touch()
    assert programs.why_not("nm-dpdk-kv") is None
    with pytest.raises(CannotRunError, match="could not be fetched"):
        programs.foreign("nm-dpdk-kv")
