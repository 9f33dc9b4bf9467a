"""Programs and libraries fetched as files: the distribution's own package, never installed.

The packages of memcached and the SSH server would start a service, and DPDK's libraries depend on a
package that does (rdma-core's iwpmd, for NICs that no row uses). So their files are fetched with a
separate package-manager state, from the machine's own sources and with its keys, checked against
the hash in the package index, and unpacked into the cache. An ordinary user can do this too. A
program that is installed on the machine is used instead. A datapath's library comes in the same
way: it is small, and so is fetched without a question.
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
_LIBRARY = "-dev"  # the end of the name of a library's package


SOURCES = "sources"  # a folder next to apt.conf, with private source lists
STAMP = "nearmetal.json"  # marks a complete folder: it is written last
_T = TypeVar("_T")
_MACHINES_LISTS = Path("/var/lib/apt/lists")


def why_not(program: str) -> str | None:
    """Return why a program is unavailable here; None: it is here, or can be fetched."""
    if shutil.which(program) or _is_there(program) or shutil.which("apt-get"):
        return None
    return f"{program} is not installed, and there is no apt-get to fetch it with"


def provide(program: str) -> tuple[Path, str | None]:
    """Return a program's path and the LD_LIBRARY_PATH that it needs, if any; fetch it if missing.

    Raises CannotRunError.
    """
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


def provide_library(package: str) -> None:
    """Fetch the files to link with a library, from its package NAME-dev. Raises CannotRunError."""
    if not _is_there(package):
        _fetch(package)


def unfit() -> str | None:
    """Return why programs cannot be linked with files fetched into this cache; None: they can.

    pkg-config escapes paths byte by byte, as for a shell, and the linker splits arguments at
    commas. A path of ASCII letters, digits, spaces and quotes survives both.
    """
    cache = str(cache_dir())
    odd = "".join(sorted(set(re.sub(r"""[A-Za-z0-9_/.+@%~='" -]""", "", cache))))
    if not odd:
        return None
    return (
        f"the files in {cache} cannot be linked with: pkg-config and the linker cannot handle"
        f" {odd} in a path; set XDG_CACHE_HOME to another folder"
    )


def dpdk_wanted() -> bool:
    """Whether the user has agreed in set-up to fetch DPDK, which is large."""
    return (cache_dir() / "dpdk.wanted").exists()


def pkg_config() -> dict[str, str]:
    """Return the environment in which pkg-config finds fetched libraries, then the user's own.

    PKG_CONFIG_PATH is the only one of its variables that the build's key contains.
    """
    names = ["dpdk-testpmd", *sorted(each.name for each in _folder("").glob(f"*{_LIBRARY}"))]
    there = [_folder(name) / _LIBRARIES / "pkgconfig" for name in names if _is_there(name)]
    found_there = [str(folder) for folder in there if any(folder.glob("*.pc"))]
    places = [*(found_there if unfit() is None else []), os.environ.get("PKG_CONFIG_PATH", "")]
    found = ":".join(filter(None, places))
    return {"PKG_CONFIG_PATH": found} if found else {}


def _program(folder: Path, program: str) -> Path:
    """Return the path of a program in its package: in sbin for programs of root, else in bin."""
    below = folder / "usr" / "sbin" / program
    return below if below.exists() else folder / "usr" / "bin" / program


def _folder(program: str) -> Path:
    return cache_dir() / "files" / program


def _is_there(program: str) -> bool:
    """Whether a program's folder is complete and was made at this path, which *.pc files name."""
    folder = _folder(program)
    told = stamp(folder)
    here = told is not None and told.get("folder", str(folder)) == str(folder)
    return here and _holds(folder, program)


def _holds(folder: Path, name: str) -> bool:
    """Whether a folder has what it was fetched for: a program, or a library for pkg-config."""
    if name in _PACKAGES:
        return _program(folder, name).exists()
    return any((folder / _LIBRARIES / "pkgconfig").glob("*.pc"))


def stamp(folder: Path) -> dict[str, Any] | None:
    """Return the content of a folder's stamp; None: the folder is incomplete, or the stamp bad."""
    try:
        told = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


@contextmanager
def fetching() -> Iterator[Path]:
    """Yield a folder to fetch in, for one process at a time. Raises CannotRunError.

    Folders that a killed process left behind are removed. The caller must check again whether it
    still needs to fetch: another process may have fetched while it waited.
    """
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
    """Write the stamp of a complete folder, and move it to its place."""
    (made / STAMP).write_text(json.dumps(told) + "\n", encoding="utf-8")
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)


def with_lists(config: Path, private: Path, unpack: Callable[[Path], _T]) -> _T:
    """Call unpack with the machine's package lists, and if that fails with fresh private lists.

    The machine's lists may be absent, or older than the archive. Raises CannotRunError.
    """
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
    """Download package lists; return the first error, which apt-get's exit code may hide."""
    said = apt(config, lists, "apt-get", "-q", "update")
    failed = re.search(r"^Err:.*\n +(\S.*)$", said, re.MULTILINE)
    return None if failed is None else f"package lists could not be read: {failed.group(1)}"


def _fetch(program: str) -> None:
    with fetching() as folder:
        if _is_there(program):
            return
        private = cache_dir() / "apt"  # kept, so that lists are not downloaded for each program
        config = write_config(private)
        made = folder / "made"

        def unpack(lists: Path) -> list[str]:
            return _unpack(program, config, lists, folder / "debs", made)

        packages = with_lists(config, private, unpack)
        target = _folder(program)
        _relocate(made, target)
        publish(made, target, {"packages": packages, "folder": str(target)})


def write_config(private: Path) -> Path:
    """Write an apt.conf with private state and without the machine's hooks; return its path.

    Sources and keys stay those of the machine.
    """
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (private / folder).mkdir(parents=True, exist_ok=True)
    config = private / "apt.conf"
    config.write_text(
        'Dir::Cache::pkgcache "";\n'  # would take tens of megabytes to save a second
        'Dir::Cache::srcpkgcache "";\n'
        'Debug::NoLocking "1";\n'
        'APT::Sandbox::User "root";\n'  # only this user can write to the cache; user _apt cannot
        'APT::Install-Recommends "0";\n'
        "#clear APT::Update::Post-Invoke;\n"
        "#clear APT::Update::Post-Invoke-Success;\n",
        encoding="utf-8",
    )
    return config


def _unpack(program: str, config: Path, lists: Path, debs: Path, made: Path) -> list[str]:
    """Unpack a package, and the libraries it needs that the machine lacks, into one folder.

    Return the packages as name=version. Raises CannotRunError.
    """
    package = _PACKAGES.get(program, program)
    text = apt(config, lists, "apt-get", "-y", "--print-uris", "--reinstall", "install", package)
    names = re.findall(r"^'\S+' (\S+\.deb) \d+", text, re.MULTILINE)
    if not names:
        raise CannotRunError(f"apt-get finds no package {package}")
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
    if not _holds(made, program):
        raise CannotRunError(f"package {package} holds no {program}")
    return packages


def _is_needed(package: str, program: str) -> bool:
    """Whether to fetch a package: the program's own or a library; the rest is for installation."""
    own = _PACKAGES.get(program, program)
    return package == own or package.startswith(("lib", "zlib", "ibverbs-providers"))


def _relocate(made: Path, target: Path) -> None:
    """Move all libraries to one folder, and write their final path to the pkg-config files."""
    old, new = made / "lib" / "x86_64-linux-gnu", made / _LIBRARIES
    for path in sorted(old.iterdir()) if old.is_dir() else []:
        if path.is_symlink() or path.is_file():
            new.mkdir(parents=True, exist_ok=True)
            path.rename(new / path.name)
    # These files quote like a shell: escape every character that is special to a shell.
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
    """Run one of apt's tools with our configuration and lists; return its output.

    Paths are passed as options, because apt's files cannot express a quotation mark in them.
    """
    private = config.parent
    places = [f"Dir::State={private}/state", f"Dir::State::lists={lists}"]
    places += ["Dir::State::status=/var/lib/dpkg/status", f"Dir::Cache={private}/cache"]
    if (parts := private / SOURCES).is_dir():
        places += ["Dir::Etc::sourcelist=/dev/null", f"Dir::Etc::sourceparts={parts}"]
    options = [word for place in places for word in ("-o", place)]
    return run([tool, "-c", str(config), *options, *arguments], folder)


def run(command: list[str], folder: Path) -> str:
    """Run a command; return its stdout. Raises CannotRunError with its first error."""
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
