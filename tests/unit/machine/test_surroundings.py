"""The parts of the shell's environment that reach builds, measured programs and tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nearmetal.build import meson
from nearmetal.build.programs import git
from nearmetal.machine.processes import owner, process, surroundings
from nearmetal.paths import source_root

THEIRS = (
    *("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GLIBC_TUNABLES", "MALLOC_ARENA_MAX"),
    *("MALLOC_PERTURB_", "PYTHONHOME", "PYTHONMALLOC", "PYTHONOPTIMIZE", "GIT_DIR", "TAR_OPTIONS"),
    *("NOTIFY_SOCKET", "JOURNAL_STREAM", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS"),
)
COMPILED_IN = (
    *("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "CPATH", "LIBRARY_PATH", "MAKEFLAGS", "AR", "CC_LD"),
    *(
        "PKG_CONFIG_LIBDIR",
        "PKG_CONFIG_SYSROOT_DIR",
        "MESONINTROSPECT",
        "NINJA_STATUS",
        "GCC_EXEC_PREFIX",
    ),
)
KEPT = {"PATH": "/usr/bin", "HOME": "/h", "XDG_CACHE_HOME": "/c d", "https_proxy": "p"}


def test_programs_get_what_says_where_things_are_and_no_more() -> None:
    found = surroundings.of_programs({**KEPT, **dict.fromkeys(THEIRS, "theirs")})
    assert {name: found.pop(name) for name in KEPT} == KEPT
    assert found == {
        "PYTHONPATH": str(source_root() / "src"),
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
    }


def test_tools_that_build_get_nothing_that_is_compiled_in() -> None:
    found = surroundings.of_tools({**KEPT, **dict.fromkeys(THEIRS + COMPILED_IN, "theirs")})
    assert "theirs" not in found.values() and KEPT.items() <= found.items()


def test_children_and_build_tools_are_started_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*THEIRS, *COMPILED_IN):
        monkeypatch.setenv(name, "theirs")
    assert "theirs" not in meson._environment({}).values()
    found = process.environment()
    assert not set(THEIRS) & set(found)
    assert found[owner.ENVIRONMENT] == str(owner.current())


def test_a_compiler_that_changed_compiles_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    before = meson._compiler({})
    (folder / "cc").write_text('#!/bin/sh\nexec gcc "$@"\n')
    (folder / "cc").chmod(0o755)
    first = meson._compiler({})
    (folder / "cc").write_text('#!/bin/sh\nexec gcc -O0 "$@"\n')
    assert len({*map(tuple, (before, first, meson._compiler({})))}) == 3
    monkeypatch.setenv("PKG_CONFIG_PATH", "/opt/dpdk")
    assert meson._compiler({})[-1].endswith("/opt/dpdk")


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_shells_git_folder_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook of another repository sets GIT_DIR for all its programs."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    assert git(tmp_path, "rev-parse", "--is-inside-work-tree") == "true"
