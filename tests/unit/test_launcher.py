"""The launcher in a simulated system: its questions, its refusals, its commands."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nearmetal.paths import source_root

TOOLS = (
    "sh",
    "sleep",
    "cat",
    "comm",
    "cut",
    "date",
    "dirname",
    "env",
    "flock",
    "grep",
    "head",
    "id",
)
TOOLS += ("mkdir", "printf", "readlink", "rm", "sed", "sha256sum", "sort", "tail", "tr", "uname")


def supported() -> bool:
    names = {}
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        names[key] = value.strip('"')
    pair = (names.get("ID"), names.get("VERSION_ID"))
    return pair in {("debian", "12"), ("debian", "13"), ("ubuntu", "24.04")}


needs_supported = pytest.mark.skipif(not supported(), reason="not a supported distribution")


class System:
    """A PATH of its own: the tools of every Debian system, and simulated package tools.

    The file `lists` exists once apt-get has read the package lists; `online` while it can.
    """

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.bin.mkdir()
        self.cache = root / "cache"
        self.log = root / "apt-get.log"
        self.lists, self.online = root / "lists", root / "online"
        self.lists.touch()
        for tool in TOOLS:
            found = shutil.which(tool)
            if found:
                (self.bin / tool).symlink_to(found)
        self.add("apt-get", APT_GET)
        self.add("apt-cache", APT_CACHE)
        self.add("dpkg-query", "exit 0")

    def add(self, name: str, script: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\nlists={self.lists} online={self.online} log={self.log}\n")
        with path.open("a") as file:
            file.write(f"{script}\n")
        path.chmod(0o755)

    def add_python(self) -> None:
        self.add("python3", f'exec "{sys.executable}" "$@"')

    def run(
        self, *words: str, stdin: int = subprocess.DEVNULL, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        given = {"PATH": str(self.bin), "XDG_CACHE_HOME": str(self.cache), "LC_ALL": "C"}
        return subprocess.run(
            ["sh", str(source_root() / "nearmetal"), *words],
            env=given | environment,
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def set_up(self, script: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run functions of setup.sh alone."""
        self.cache.mkdir(exist_ok=True)
        given = {"cache": str(self.cache), "here": str(source_root()), "yes": "yes", "python": ""}
        told = "\n".join(f"{name}='{value}'" for name, value in (given | settings).items())
        return subprocess.run(
            ["sh", "-c", f"set -eu\n{told}\n. $here/src/nearmetal/build/setup.sh\n{script}"],
            env={"PATH": str(self.bin)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def asked(self) -> list[str]:
        """Return the arguments of each call of apt-get and others."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def installed(self) -> bool:
        return any(" -y " in line for line in self.asked())


APT_GET = """
echo "$@" >>"$log"
case "$*" in
    *assume-no*) echo "Need to get 12 MB of archives."; exit 1 ;;
    *update) [ -e "$online" ] || { echo "W: Failed to fetch it"; exit 0; }; : >"$lists" ;;
    *) [ -e "$online" ] || { echo "E: Failed to fetch it"; exit 100; } ;;
esac
"""
APT_CACHE = """
[ -e "$lists" ] || exit 100
case "$*" in
    'depends clang') echo '  Depends: clang-14' ;;
    *no-such*) exit 100 ;;
esac
"""


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path)


@needs_supported
def test_without_a_terminal_and_without_yes_it_refuses(system: System) -> None:
    done = system.run("bench")
    assert done.returncode == 2
    assert "python3-venv" in done.stderr
    assert "download 12 MB" in done.stderr
    assert "no terminal to ask on: give --yes" in done.stderr.splitlines()[-1]
    assert not system.installed()


@needs_supported
@pytest.mark.skipif(
    Path("/usr/include/dpdk/rte_ethdev.h").exists(), reason="DPDK is installed on this machine"
)
def test_dpdk_is_named_with_its_size_and_not_installed(system: System) -> None:
    done = system.run("bench")
    assert "DPDK is not installed; its files (about 40 MB" in done.stderr
    assert "dpdk" not in system.log.read_text()
    assert not (system.cache / "nearmetal" / "dpdk.wanted").exists()


@needs_supported
def test_declined_without_python_it_cannot_go_on(system: System) -> None:
    try:
        ours, theirs = pty.openpty()
    except OSError as error:  # a chroot without /dev/pts
        pytest.skip(f"no terminal can be made here: {error}")
    os.write(ours, b"n\n")
    done = system.run("bench", stdin=theirs)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert "declined: cannot go on without Python" in done.stderr
    assert not system.installed()


@needs_supported
@pytest.mark.skipif(os.geteuid() == 0, reason="root can always install")
def test_without_rights_it_says_what_to_install(system: System) -> None:
    done = system.run("bench", "--yes")
    assert done.returncode == 2
    assert "apt-get install" in done.stderr.splitlines()[-1]


def test_no_place_for_a_cache(system: System) -> None:
    done = subprocess.run(
        ["sh", str(source_root() / "nearmetal"), "list"],
        env={"PATH": str(system.bin)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_it_runs_from_a_path_with_spaces(tmp_path: Path) -> None:
    """A ready venv refers to the Python of this test: nothing is installed."""
    clone = tmp_path / "a clone with 'spaces'"
    (clone / "src").mkdir(parents=True)
    shutil.copy(source_root() / "nearmetal", clone)
    shutil.copy(source_root() / "pyproject.toml", clone)
    (clone / "src" / "nearmetal").symlink_to(source_root() / "src" / "nearmetal")
    cache = tmp_path / "the cache"
    make_ready(cache / "nearmetal", clone / "pyproject.toml")
    done = subprocess.run(
        [str(clone / "nearmetal"), "list"],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    assert "host-mmsg" in done.stdout
    assert done.stderr == ""


def make_ready(cache: Path, pyproject: Path) -> None:
    key = (
        subprocess.run(["sha256sum", str(pyproject)], capture_output=True, text=True, check=True)
        .stdout[:12]
        .lstrip("\\")
    )
    venv = cache / f"venv-{key}"
    (venv / "bin").mkdir(parents=True)
    (venv / "ready").mkdir()
    (venv / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (venv / "bin" / "python").chmod(0o755)
    (venv / "ready" / "base").write_text(f"{(venv / 'bin' / 'python').resolve()}\n")
    (venv / "ready" / "python").touch()
