"""Programs that come as files: the distribution's own package, unpacked, never installed.

memcached's and the SSH server's packages would start a service, and DPDK's libraries bring one
along (rdma-core's iwpmd, for NICs that nobody here has); so their files are fetched with a
package-manager state of our own, under the machine's own sources and keys, checked against the hash
in the package index, and unpacked into the cache. Works for an ordinary user too. Where the machine
has the program already, that one is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

from nearmetal.errors import CannotRunError
from nearmetal.paths import cache_dir

_PACKAGES = {
    "memcached": "memcached",
    "memcaslap": "libmemcached-tools",
    "dpdk-testpmd": "dpdk-dev",
    "sshd": "openssh-server",
}
_LIBRARIES = "usr/lib/x86_64-linux-gnu"


def why_not(program: str) -> str | None:
    """Why a program cannot be had here; None: it is there, or can be fetched."""
    if shutil.which(program) or _stamp(program).exists() or shutil.which("apt-get"):
        return None
    return f"{program} is not installed, and there is no apt-get to fetch it with"


def provide(program: str) -> tuple[Path, str | None]:
    """Its path, and the LD_LIBRARY_PATH it needs; fetched when it is not there."""
    found = shutil.which(program)
    if found is not None:
        return Path(found).resolve(), None
    stamp = _stamp(program)
    if not stamp.exists():
        reason = why_not(program)
        if reason is not None:
            raise CannotRunError(reason)
        _fetch(program, stamp)
    return _program(stamp.parent, program), str(stamp.parent / _LIBRARIES)


def dpdk_wanted() -> bool:
    """Whether set-up was told that DPDK may be fetched: it is large, so it is asked for."""
    return (cache_dir() / "dpdk.wanted").exists()


def pkg_config() -> dict[str, str]:
    """Where pkg-config finds the libraries that were fetched: an environment."""
    folder = _stamp("dpdk-testpmd").parent / _LIBRARIES / "pkgconfig"
    return {"PKG_CONFIG_PATH": str(folder)} if (folder / "libdpdk.pc").exists() else {}


def _program(folder: Path, program: str) -> Path:
    """Where a package puts it; a name in sbin is one of those that only root starts."""
    below = folder / "usr" / "sbin" / program
    return below if below.exists() else folder / "usr" / "bin" / program


def _stamp(program: str) -> Path:
    return cache_dir() / "files" / program / "nearmetal.json"


def _fetch(program: str, stamp: Path) -> None:
    """Fetch and unpack; the machine's package lists first, then fresh ones of our own."""
    private = cache_dir() / "apt"
    config = write_config(private)
    reason = ""
    for lists in (Path("/var/lib/apt/lists"), private / "state" / "lists"):
        try:
            if lists.is_relative_to(private):
                apt(config, lists, "apt-get", "-q", "update")
            packages = _unpack(program, config, lists, private, stamp.parent)
        except CannotRunError as error:
            reason = str(error)
            continue
        stamp.write_text(json.dumps({"packages": packages}) + "\n", encoding="utf-8")
        return
    raise CannotRunError(f"{program} is not installed and could not be fetched: {reason}")


def write_config(private: Path) -> Path:
    """State of our own, and none of the machine's hooks; sources and keys stay the machine's."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (private / folder).mkdir(parents=True, exist_ok=True)
    config = private / "apt.conf"
    config.write_text(
        f'Dir::State "{private}/state";\n'
        'Dir::State::status "/var/lib/dpkg/status";\n'
        f'Dir::Cache "{private}/cache";\n'
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


def _unpack(program: str, config: Path, lists: Path, private: Path, target: Path) -> list[str]:
    """The package and every library it needs that the machine has not, side by side."""
    text = apt(
        config, lists, "apt-get", "-y", "--print-uris", "--reinstall", "install", _PACKAGES[program]
    )
    names = re.findall(r"^'\S+' (\S+\.deb) \d+", text, re.MULTILINE)
    if not names:
        raise CannotRunError(f"apt-get knows no package {_PACKAGES[program]}")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    pairs = [unquote(name).split("_")[:2] for name in names]
    packages = [f"{name}={version}" for name, version in pairs if _is_needed(name, program)]
    debs = private / "debs"
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir()
    apt(config, lists, "apt-get", "-q", "download", *packages, folder=debs)
    shown = apt(config, lists, "apt-cache", "show", *packages)
    for deb in sorted(debs.glob("*.deb")):
        _check_hash(deb, shown)
        run(["dpkg-deb", "-x", str(deb), str(target)], target)
    shutil.rmtree(debs)
    _relocate(target)
    if not _program(target, program).exists():
        raise CannotRunError(f"package {_PACKAGES[program]} holds no {program}")
    return packages


def _is_needed(package: str, program: str) -> bool:
    """Itself and libraries: what else a package depends on has to do with its installation."""
    return package == _PACKAGES[program] or package.startswith(("lib", "zlib", "ibverbs-providers"))


def _relocate(target: Path) -> None:
    """All libraries in one folder; pkg-config files name it, not the place of installation."""
    old, new = target / "lib" / "x86_64-linux-gnu", target / _LIBRARIES
    for path in sorted(old.iterdir()) if old.is_dir() else []:
        if path.is_symlink() or path.is_file():
            new.mkdir(parents=True, exist_ok=True)
            path.rename(new / path.name)
    for file in target.rglob("*.pc"):
        if not file.is_symlink():
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace("=/usr", f"={target}/usr"), encoding="utf-8")


def _check_hash(deb: Path, shown: str) -> None:
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    if digest not in re.findall(r"^SHA256: ([0-9a-f]{64})$", shown, re.MULTILINE):
        raise CannotRunError(f"{deb.name} does not have the hash that the package index names")


def apt(config: Path, lists: Path, tool: str, *arguments: str, folder: Path = Path("/")) -> str:
    """Run one of apt's tools with a configuration and lists of our own."""
    command = [tool, "-c", str(config), "-o", f"Dir::State::lists={lists}", *arguments]
    return run(command, folder)


def run(command: list[str], folder: Path) -> str:
    """What it printed; where it failed, its first error."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.startswith("E:")]
        raise CannotRunError(words[0] if words else f"{command[0]} failed")
    return done.stdout
