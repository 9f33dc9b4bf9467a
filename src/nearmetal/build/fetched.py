"""Programs that come as files: the distribution's own package, unpacked, never installed.

memcached's and the SSH server's packages would start a service, and DPDK's libraries bring one
along (rdma-core's iwpmd, for NICs that nobody here has); so their files are fetched with a
package-manager state of our own, under the machine's own sources and keys, checked against the hash
in the package index, and unpacked into the cache. Works for an ordinary user too. Where the machine
has the program already, that one is used.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from nearmetal.errors import CannotRunError
from nearmetal.machine.processes import surroundings
from nearmetal.paths import cache_dir

_PACKAGES = {
    "memcached": "memcached",
    "memcaslap": "libmemcached-tools",
    "dpdk-testpmd": "dpdk-dev",
    "sshd": "openssh-server",
}
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


SOURCES = "sources"  # a folder beside apt.conf, with lists of our own
STAMP = "nearmetal.json"  # of a folder that is whole: it is written last
_T = TypeVar("_T")
_MACHINES_LISTS = Path("/var/lib/apt/lists")


def why_not(program: str) -> str | None:
    """Why a program cannot be had here; None: it is there, or can be fetched."""
    if shutil.which(program) or _is_there(program) or shutil.which("apt-get"):
        return None
    return f"{program} is not installed, and there is no apt-get to fetch it with"


def provide(program: str) -> tuple[Path, str | None]:
    """Its path, and the LD_LIBRARY_PATH it needs; fetched when it is not there."""
    found = shutil.which(program)
    if found is not None:
        return Path(found).resolve(), None
    if not _is_there(program):
        reason = why_not(program)
        if reason is not None:
            raise CannotRunError(reason)
        try:
            _fetch(program)
        except CannotRunError as error:
            words = f"{program} is not installed and could not be fetched: {error}"
            raise CannotRunError(words) from None
    folder = _folder(program)
    return _program(folder, program), str(folder / _LIBRARIES)


def unfit() -> str | None:
    """Why nothing can be linked with files that are fetched into this cache; None: it can.

    pkg-config tells paths as a shell would write them, byte by byte, and the linker parts its words
    by commas: a path of plain letters, digits, spaces and quotes survives both.
    """
    cache = str(cache_dir())
    odd = "".join(sorted(set(re.sub(r"""[A-Za-z0-9_/.+@%~='" -]""", "", cache))))
    if not odd:
        return None
    return (
        f"DPDK's files cannot be linked with from {cache}, for pkg-config and the linker cannot"
        f" carry {odd} in a path; name another place by XDG_CACHE_HOME"
    )


def dpdk_wanted() -> bool:
    """Whether set-up was told that DPDK may be fetched: it is large, so it is asked for."""
    return (cache_dir() / "dpdk.wanted").exists()


def pkg_config() -> dict[str, str]:
    """Where pkg-config finds the libraries that were fetched, before those that the user names: an
    environment. Of the shell's settings for it this is the one that counts, in the build's key."""
    folder = _folder("dpdk-testpmd") / _LIBRARIES / "pkgconfig"
    there = unfit() is None and _is_there("dpdk-testpmd") and (folder / "libdpdk.pc").exists()
    places = [str(folder) if there else "", os.environ.get("PKG_CONFIG_PATH", "")]
    found = ":".join(filter(None, places))
    return {"PKG_CONFIG_PATH": found} if found else {}


def _program(folder: Path, program: str) -> Path:
    """Where a package puts it; a name in sbin is one of those that only root starts."""
    below = folder / "usr" / "sbin" / program
    return below if below.exists() else folder / "usr" / "bin" / program


def _folder(program: str) -> Path:
    return cache_dir() / "files" / program


def _is_there(program: str) -> bool:
    """Whole, and made for the place where it lies: pkg-config files name it."""
    folder = _folder(program)
    told = stamp(folder)
    here = told is not None and told.get("folder", str(folder)) == str(folder)
    return here and _program(folder, program).exists()


def stamp(folder: Path) -> dict[str, Any] | None:
    """What stands in a folder's stamp; None: it is not whole, or from another time."""
    try:
        told = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


@contextmanager
def fetching() -> Iterator[Path]:
    """A folder to fetch in, for one at a time; what a killed one left behind is removed. The caller
    looks again whether anything is to be fetched: another may have done so while it waited."""
    cache = cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = os.open(cache, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for old in cache.glob("fetch-*"):
                shutil.rmtree(old, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix="fetch-", dir=cache) as folder:
                yield Path(folder)
        finally:
            os.close(lock)
    except OSError as error:
        raise CannotRunError(f"cannot write to {cache}: {error.strerror}") from error


def publish(made: Path, folder: Path, told: dict[str, Any]) -> None:
    """Give a folder that is whole its stamp and its place."""
    (made / STAMP).write_text(json.dumps(told) + "\n", encoding="utf-8")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)


def with_lists(config: Path, private: Path, unpack: Callable[[Path], _T]) -> _T:
    """With the machine's package lists; where these are absent or older than what can be fetched,
    with fresh ones of our own."""
    try:
        return unpack(_MACHINES_LISTS)
    except CannotRunError:
        lists = private / "state" / "lists"
        failed = update(config, lists)
    try:
        return unpack(lists)
    except CannotRunError as error:
        raise CannotRunError(failed or str(error)) from None


def update(config: Path, lists: Path) -> str | None:
    """Read the package lists; apt-get calls it no failure when some cannot be, so: its words."""
    said = apt(config, lists, "apt-get", "-q", "update")
    failed = re.search(r"^Err:.*\n +(\S.*)$", said, re.MULTILINE)
    return None if failed is None else f"package lists could not be read: {failed.group(1)}"


def _fetch(program: str) -> None:
    with fetching() as folder:
        if _is_there(program):
            return
        private = cache_dir() / "apt"  # stays, so that lists are not read for each program
        config = write_config(private)
        made = folder / "made"

        def unpack(lists: Path) -> list[str]:
            return _unpack(program, config, lists, folder / "debs", made)

        packages = with_lists(config, private, unpack)
        target = _folder(program)
        _relocate(made, target)
        publish(made, target, {"packages": packages, "folder": str(target)})


def write_config(private: Path) -> Path:
    """State of our own, and none of the machine's hooks; sources and keys stay the machine's."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (private / folder).mkdir(parents=True, exist_ok=True)
    config = private / "apt.conf"
    config.write_text(
        'Dir::Cache::pkgcache "";\n'  # tens of megabytes that save a second
        'Dir::Cache::srcpkgcache "";\n'
        'Debug::NoLocking "1";\n'
        'APT::Sandbox::User "root";\n'  # the cache is ours alone: _apt could not write to it
        'APT::Install-Recommends "0";\n'
        "#clear APT::Update::Post-Invoke;\n"
        "#clear APT::Update::Post-Invoke-Success;\n",
        encoding="utf-8",
    )
    return config


def _unpack(program: str, config: Path, lists: Path, debs: Path, made: Path) -> list[str]:
    """The package and every library it needs that the machine has not, side by side."""
    text = apt(
        config, lists, "apt-get", "-y", "--print-uris", "--reinstall", "install", _PACKAGES[program]
    )
    names = re.findall(r"^'\S+' (\S+\.deb) \d+", text, re.MULTILINE)
    if not names:
        raise CannotRunError(f"apt-get knows no package {_PACKAGES[program]}")
    for folder in (debs, made):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    pairs = [unquote(name).split("_")[:2] for name in names]
    packages = [f"{name}={version}" for name, version in pairs if _is_needed(name, program)]
    apt(config, lists, "apt-get", "-q", "download", *packages, folder=debs)
    shown = apt(config, lists, "apt-cache", "show", *packages)
    for deb in sorted(debs.glob("*.deb")):
        _check_hash(deb, shown)
        run(["dpkg-deb", "-x", str(deb), str(made)], made)
    if not _program(made, program).exists():
        raise CannotRunError(f"package {_PACKAGES[program]} holds no {program}")
    return packages


def _is_needed(package: str, program: str) -> bool:
    """Itself and libraries: what else a package depends on has to do with its installation."""
    return package == _PACKAGES[program] or package.startswith(("lib", "zlib", "ibverbs-providers"))


def _relocate(made: Path, target: Path) -> None:
    """All libraries in one folder; pkg-config files name the place where they will lie."""
    old, new = made / "lib" / "x86_64-linux-gnu", made / _LIBRARIES
    for path in sorted(old.iterdir()) if old.is_dir() else []:
        if path.is_symlink() or path.is_file():
            new.mkdir(parents=True, exist_ok=True)
            path.rename(new / path.name)
    # Words of these files are a shell's: what it would take for more than a letter is escaped.
    place = re.sub(r"([^\w/.,:+@%-])", r"\\\1", str(target))
    for file in made.rglob("*.pc"):
        if not file.is_symlink():
            text = file.read_text(encoding="utf-8")
            moved = re.sub(
                r"^(\w+)=/usr", lambda found: f"{found[1]}={place}/usr", text, flags=re.M
            )
            file.write_text(moved, encoding="utf-8")


def _check_hash(deb: Path, shown: str) -> None:
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    if digest not in re.findall(r"^SHA256: ([0-9a-f]{64})$", shown, re.MULTILINE):
        raise CannotRunError(f"{deb.name} does not have the hash that the package index names")


def apt(config: Path, lists: Path, tool: str, *arguments: str, folder: Path = Path("/")) -> str:
    """Run one of apt's tools with a configuration and lists of our own. Our paths are options: its
    files have no way to write a quotation mark."""
    private = config.parent
    places = [f"Dir::State={private}/state", f"Dir::State::lists={lists}"]
    places += ["Dir::State::status=/var/lib/dpkg/status", f"Dir::Cache={private}/cache"]
    if (parts := private / SOURCES).is_dir():
        places += ["Dir::Etc::sourcelist=/dev/null", f"Dir::Etc::sourceparts={parts}"]
    options = [word for place in places for word in ("-o", place)]
    return run([tool, "-c", str(config), *options, *arguments], folder)


def run(command: list[str], folder: Path) -> str:
    """What it printed; where it failed, its first error."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**surroundings.of_programs(os.environ), "LC_ALL": "C"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.splitlines()
        words = [line for line in said if line.startswith("E:")] or said[-1:]
        raise CannotRunError(words[0] if words else f"{command[0]} failed")
    return done.stdout
