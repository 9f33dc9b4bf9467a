"""Bare machines: a distribution's smallest system, made by debootstrap, for the first command of a
new user.

A machine is a folder with its own namespaces for mounts, processes, IPC and the host's name; the
network is this machine's, or none. It has no package lists, no Python and no compiler. The settings
for downloads are copied from this machine: package sources and keys, proxies, certificates, pip's
settings. The folder is journaled, so that `clean` removes what a killed test left; all else ends
with the namespaces, and these end with this process.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from nearmetal.errors import CannotRunError
from nearmetal.machine.journal import open_journal
from nearmetal.machine.processes import lock
from nearmetal.paths import cache_dir, source_root

_ENTER = Path(__file__).with_name("enter.sh")
_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_FORKED = ("--fork", "--kill-child=KILL")
_WAIT_S = "1800"  # all bare machines count as one machine, which one run uses at a time
_NOT_ALLOWED = 99  # exit code of enter.sh
_PERSON = "person"
_INCLUDED = "git,sudo"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SETTINGS = re.compile(r"(?:PIP_\w+|\w+_CA_BUNDLE|SSL_CERT_\w+|(?i:\w+_proxy))")
_LO_UP = (
    "import fcntl, socket, struct;"
    " fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914,"  # SIOCSIFFLAGS
    " struct.pack('16sH14x', b'lo', 0x1))"  # IFF_UP
)


@dataclass(frozen=True)
class Suite:
    """A release of a distribution, as debootstrap names it."""

    name: str
    distribution: str
    components: str
    script: str  # script of debootstrap; many releases share one

    @property
    def keyring(self) -> Path:
        return Path(f"/usr/share/keyrings/{self.distribution}-archive-keyring.gpg")


SUITES = (
    Suite("bookworm", "debian", "main", "sid"),
    Suite("trixie", "debian", "main", "sid"),
    Suite("noble", "ubuntu", "main,universe", "gutsy"),
)


def why_not() -> str | None:
    """Return why no such machine can be made here; None: it can be tried."""
    if os.geteuid() != 0:
        return "needs root: mounts and namespaces"
    if shutil.which("debootstrap") is None:
        return "no debootstrap (./nearmetal test --full --yes installs it)"
    if shutil.which("git") is None:
        return "no git (./nearmetal test --full --yes installs it)"
    if not (source_root() / ".git").exists():
        return "the tree is no git clone: there is nothing to clone on the machine"
    return None


def base(suite: Suite) -> Path:
    """Return the archive of a suite's smallest system, which is kept in the cache."""
    archive = cache_dir() / "bare" / f"{suite.name}.tar.gz"
    if archive.exists():
        return archive
    if not suite.keyring.exists():
        raise CannotRunError(f"{suite.name}: the keys of its archive are missing: {suite.keyring}")
    archive.parent.mkdir(parents=True, exist_ok=True)
    with open_journal().folder(archive.with_name(suite.name)) as place:
        folder, made = place / "root", place / "archive"
        _debootstrap(suite, folder)
        for place in ("var/lib/apt/lists", "var/cache/apt"):
            for file in (folder / place).rglob("*"):
                if not file.is_dir():
                    file.unlink()
        _call(["tar", "--numeric-owner", "-C", str(folder), "-czf", str(made), "."])
        made.rename(archive)
    return archive


def _debootstrap(suite: Suite, folder: Path) -> None:
    """Run debootstrap, with this machine's package source or the distribution's default."""
    options = ["--variant=minbase", f"--include={_INCLUDED}", f"--components={suite.components}"]
    script = f"/usr/share/debootstrap/scripts/{suite.script}"
    # Its mounts in the folder must not remain, nor be deleted with it, if debootstrap is killed.
    apart = [*_WITH_US, "unshare", "--mount", "--pid", "--mount-proc", *_FORKED]
    command = ["debootstrap", *options, f"--keyring={suite.keyring}", suite.name, str(folder)]
    try:
        _call([*apart, *command, _mirror(suite), script], env=os.environ | _proxies())
    except CannotRunError as error:
        raise CannotRunError(f"{suite.name}: {error}") from None


def _mirror(suite: Suite) -> str:
    if platform.freedesktop_os_release().get("ID") != suite.distribution:
        return ""
    shown = _call(["apt-get", "indextargets", "--format", "$(BASE_URI) $(COMPONENT)"])
    found = re.findall(r"^(\S+) main$", shown, re.MULTILINE)
    return next((uri for uri in found if "security" not in uri), "").partition("/dists/")[0]


def _proxies() -> dict[str, str]:
    """Return apt's proxies for debootstrap, which does not read apt's settings."""
    shown = _call(
        ["apt-config", "shell", "http_proxy", "Acquire::http::Proxy", "https_proxy",
         "Acquire::https::Proxy"]
    )  # fmt: skip
    return dict(re.findall(r"^(\w+)='(.*)'$", shown, re.MULTILINE))


class Machine:
    """A bare machine, with a clean clone of this tree in its user's home folder."""

    def __init__(self, folder: Path, person: str) -> None:
        self.folder = folder
        self.person = person
        self.home = "/root" if person == "root" else f"/home/{person}"
        self.home_here = folder / self.home.lstrip("/")  # the home folder's path on this machine
        self._binds = _pip_folders()

    def start(self, command: str, said: IO[bytes], *, network: bool) -> subprocess.Popen[bytes]:
        """Run a shell command in the clone. It ends with this process."""
        spaces = ["--mount", "--pid", "--ipc", "--uts", *([] if network else ["--net"])]
        line = [*_WITH_US, "unshare", *spaces, *_FORKED]
        line += ["sh", "-c", f'{_lo(network)} exec sh "$@"', "enter", str(_ENTER)]
        line += [str(self.folder), *map(str, self._binds), "--", *self._as_person(command)]
        # A session of its own: Ctrl-C reaches only the test, and signals in there stay in there.
        return subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )

    def _as_person(self, command: str) -> list[str]:
        """Return the command for the user, with only the download settings of this environment."""
        person = ["--reuid", self.person, "--regid", self.person, "--init-groups"]
        told = {name: value for name, value in os.environ.items() if _SETTINGS.fullmatch(name)}
        told |= {"HOME": self.home, "USER": self.person, "LOGNAME": self.person, "PATH": _PATH}
        told[lock.WAIT] = _WAIT_S
        told |= {"SHELL": "/bin/sh", "LANG": "C.UTF-8", "TERM": "dumb"}
        clean = ["env", "-i", *(f"{name}={value}" for name, value in told.items())]
        script = f"cd {shlex.quote(self.home)}/nearmetal && {command}"
        return ["setpriv", *person, *clean, "sh", "-c", script]


def _lo(network: bool) -> str:
    """Return the command that sets loopback up: it is down in a new network namespace."""
    return "" if network else f"{shlex.quote(sys.executable)} -c {shlex.quote(_LO_UP)} &&"


@contextmanager
def machine(suite: Suite, person: str) -> Iterator[Machine]:
    """Make a machine. person: root, or another user, with the right to use sudo."""
    archive = base(suite)
    folder = archive.with_name(f"{suite.name}-{person}-{os.getpid()}")
    with open_journal().folder(folder):
        folder.chmod(0o755)
        _call(["tar", "--numeric-owner", "-C", str(folder), "-xzf", str(archive)])
        _settle(folder, suite)
        made = Machine(folder, person)
        clone = made.home_here / "nearmetal"
        if person != "root":
            _call(["chroot", str(folder), "useradd", "-m", "-s", "/bin/sh", person])
            rule = folder / "etc/sudoers.d/person"
            rule.write_text(f"{person} ALL=(ALL) NOPASSWD: ALL\n", encoding="utf-8")
            rule.chmod(0o440)
        _call(["git", "clone", "-q", "--no-hardlinks", f"file://{source_root()}", str(clone)])
        _pip_settings(folder, clone.parent)
        _call(["chroot", str(folder), "chown", "-R", f"{person}:{person}", made.home])
        yield made


def stop(running: subprocess.Popen[bytes]) -> None:
    """End all processes of a machine: the end of the first ends the others."""
    for first in psutil.Process(running.pid).children() if running.poll() is None else []:
        first.kill()
    running.kill()
    running.wait()


def was_refused(status: int) -> bool:
    """Whether this machine does not allow it, such as in a container with few rights."""
    return status == _NOT_ALLOWED


def _settle(folder: Path, suite: Suite) -> None:
    """Copy the download settings; start no services, and do not wait for the disk."""
    etc = folder / "etc"
    for name in ("resolv.conf", "hosts", "hostname"):
        shutil.copyfile(f"/etc/{name}", etc / name)
    for place in ("etc/ssl/certs/ca-certificates.crt", "usr/local/share/ca-certificates"):
        _copy(Path("/") / place, folder / place)
    own = platform.freedesktop_os_release()
    if own.get("ID") == suite.distribution:
        _sources(folder, own["VERSION_CODENAME"], suite.name)
    shown = _call(["apt-config", "dump"])
    kept = re.findall(r"^Acquire::(?:https?|Retries)\b.*\n", shown, re.MULTILINE)
    (etc / "apt/apt.conf.d/90fetching").write_text("".join(kept), encoding="utf-8")
    (etc / "dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n", encoding="utf-8")
    no_services = folder / "usr/sbin/policy-rc.d"
    no_services.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    no_services.chmod(0o755)


def _sources(folder: Path, release: str, suite: str) -> None:
    """Copy this machine's package sources, with another release's name."""
    apt = folder / "etc/apt"
    for path in ("usr/share/keyrings", "etc/apt/keyrings", "etc/apt/trusted.gpg.d"):
        _copy(Path("/") / path, folder / path)
    (apt / "sources.list").unlink(missing_ok=True)
    pattern = re.compile(rf"(?<!\S){release}(?![^\s-])")
    for path in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if pattern.search(text):
            copy = apt / path.relative_to("/etc/apt")
            copy.write_text(pattern.sub(suite, text), encoding="utf-8")


def _pip_settings(folder: Path, home: Path) -> None:
    for place in ("etc/pip.conf", "etc/xdg/pip"):
        _copy(Path("/") / place, folder / place)
    for place in (".config/pip", ".pip"):
        _copy(Path.home() / place, home / place)


def _pip_folders() -> list[Path]:
    """Return the folders that pip's settings name; for an index, its parent with the files."""
    shown = _call([sys.executable, "-m", "pip", "config", "list"])
    named = re.findall(r"(?:file://|(?<=[\s'=]))(/[^'\s]+)", shown)
    named += [os.environ["PIP_FIND_LINKS"]] if "PIP_FIND_LINKS" in os.environ else []
    folders = (Path(name.rstrip("/")) for name in named)
    whole = (path.parent if path.name == "simple" else path for path in folders)
    return sorted({path for path in whole if path.is_dir()})


def _copy(path: Path, to: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, to, dirs_exist_ok=True)
    elif path.exists():
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)


def _call(command: list[str], env: dict[str, str] | None = None) -> str:
    """Return the stdout of a command; if it fails, raise with its last line as the reason."""
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr + done.stdout).strip().splitlines()
        name = "debootstrap" if "debootstrap" in command else command[0]
        raise CannotRunError(f"{name} failed: {said[-1] if said else 'it gives no reason'}")
    return done.stdout
