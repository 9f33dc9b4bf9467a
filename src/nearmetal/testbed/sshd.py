"""SSH servers for the rehearsal: keys, accounts, configuration; no system service is needed.

Host key, client key and configuration are in a folder of the run. The server admits only the owner
of the client key, and reads nothing in /etc/ssh.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nearmetal.build import fetched
from nearmetal.errors import CannotRunError, NearmetalError

PORT = 22
_BEHIND_SSHD = ("sshd-session", "sshd-auth")  # separate programs since OpenSSH 9.8


@dataclass(frozen=True)
class Keys:
    """A folder with the keys for both sides."""

    folder: Path

    @property
    def client(self) -> Path:
        return self.folder / "client"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"


def make_keys(folder: Path) -> Keys:
    """Make new keys for the servers and the client."""
    for name in ("host", "client"):
        _keygen(folder / name)
    keys = Keys(folder)
    public = (folder / "client.pub").read_text(encoding="ascii")
    (folder / "authorized_keys").write_text(public, encoding="ascii")
    key = " ".join((folder / "host.pub").read_text(encoding="ascii").split()[:2])
    keys.known_hosts.write_text(f"* {key}\n", encoding="ascii")
    return keys


def argv(keys: Keys, name: str, address: str) -> list[str]:
    """Return the command line of a server on this address."""
    program, library_path = fetched.provide("sshd")
    config = keys.folder / f"sshd-{name}.conf"
    config.write_text("\n".join([*_config(keys, address), *_parts(program), ""]), encoding="utf-8")
    environment = ["env", f"LD_LIBRARY_PATH={library_path}"] if library_path else []
    return [*environment, str(program), "-D", "-e", "-f", str(config)]


def make_accounts(keys: Keys) -> None:
    """Write the passwd and shadow files for the server's view.

    They have this machine's accounts, and the account sshd, under which the server does its
    unprivileged work. Root has no password there, so only the key admits a client.
    """
    passwd, shadow = keys.folder / "passwd", keys.folder / "shadow"
    lines = Path("/etc/passwd").read_text("utf-8", "surrogateescape").splitlines()
    if not any(line.startswith("sshd:") for line in lines):
        lines.append("sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin")
    passwd.write_text("\n".join([*lines, ""]), "utf-8", "surrogateescape")
    shadow.write_text("root:*:19000:0:99999:7:::\n", encoding="ascii")
    shadow.chmod(0o600)


def _config(keys: Keys, address: str) -> list[str]:
    return [
        f"ListenAddress {address}:{PORT}",
        f"HostKey {_word(keys.folder / 'host')}",
        f"AuthorizedKeysFile {_word(keys.folder / 'authorized_keys')}",
        "PidFile none",
        "UsePAM no",
        "StrictModes no",  # the folder is below one that every user may read
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "PrintMotd no",
        "UseDNS no",
        "Subsystem sftp internal-sftp",
        *_cache(),
        "ClientAliveInterval 2",
        "ClientAliveCountMax 3",
        "LogLevel ERROR",
    ]


def _cache() -> list[str]:
    """Return the setting of our cache folder: all machines are this one, and share its cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return [f"SetEnv {_word(f'XDG_CACHE_HOME={base}')}"] if base else []


def _parts(program: Path) -> list[str]:
    """Return the settings for paths of sshd's parts, which a fetched sshd does not find."""
    folder = program.parents[1] / "lib" / "openssh"
    options = {"sshd-session": "SshdSessionPath", "sshd-auth": "SshdAuthPath"}
    if program.is_relative_to("/usr/sbin"):
        return []
    return [f"{options[n]} {_word(folder / n)}" for n in _BEHIND_SSHD if (folder / n).exists()]


def _word(value: object) -> str:
    """Quote a word for the configuration."""
    return f'"{value}"'


def _keygen(file: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "nearmetal", "-f", str(file)]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except FileNotFoundError:
        raise CannotRunError("testbed: there is no ssh-keygen (package openssh-client)") from None
    if done.returncode != 0:
        raise NearmetalError(f"ssh-keygen: {' '.join(done.stderr.split())}")
