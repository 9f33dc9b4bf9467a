"""The command line of a Python DUT: same options and errors as in native/program/options.c."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

from nearmetal.errors import BadInputError
from nearmetal.kv.admission import LOOPBACK, network

# The rows of the table of services whose Python module is kv.server.
SERVICES = KV, ECHO = "kv", "echo"
SEED_BYTES = 16
MEMORY_BYTES_MIN = 1 << 20
_UNITS = {"": 0, "KiB": 10, "MiB": 20, "GiB": 30}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a server, checked and complete."""

    host: str
    port: int
    service: str
    memory_bytes: int
    allow: tuple[str, ...]
    admin: tuple[str, ...]
    trusted: tuple[str, ...]
    poll: bool
    every_s: int
    file: Path | None  # a user's service, in place of one of SERVICES
    service_args: tuple[tuple[str, str], ...]  # for its init
    seed: bytes  # of its hashes

    @property
    def wildcard(self) -> bool:
        """Whether the server listens on every address of the machine."""
        return ip_address(self.host).is_unspecified


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadInputError(f"{message}; docs/programs.md lists the options")


def parse(arguments: list[str]) -> Options:
    """Parse the command line; BadInputError: one line for the user."""
    parser = _Parser(prog="nm-py", allow_abbrev=False)
    parser.add_argument("--listen", default="127.0.0.1:11211")
    parser.add_argument("--service", default=KV)
    parser.add_argument("--service-arg", action="append", default=[])
    parser.add_argument("--memory", default="64MiB")
    for name in ("--allow", "--admin", "--trusted"):
        parser.add_argument(name, action="append", default=[])
    parser.add_argument("--batch", help="accepted as by every server; this one has no bursts")
    parser.add_argument("--seed", help="32 hexadecimal digits, for the hashes of a file's service")
    parser.add_argument("--poll", action="store_true")
    parser.add_argument("--every", default="0")
    given = parser.parse_args(arguments)

    host, port = _listen(given.listen)
    for option in ("allow", "admin", "trusted"):
        for text in getattr(given, option):
            network(option, text)
    if not given.allow and not ip_address(host).is_loopback:
        raise BadInputError(
            "--listen beyond loopback needs --allow CIDR: name the sources that may ask"
        )
    if not re.fullmatch(r"[0-9]{1,5}", given.every) or int(given.every) > 86_400:
        raise BadInputError(f"--every {given.every}: not a number of seconds")
    allow = tuple(given.allow) or LOOPBACK
    return Options(
        host=host,
        port=port,
        service=given.service,
        memory_bytes=memory_bytes(given.memory),
        allow=allow,
        admin=tuple(given.admin) or LOOPBACK,
        trusted=tuple(given.trusted) or allow,
        poll=given.poll,
        every_s=int(given.every),
        file=_file(given.service),
        service_args=tuple(service_argument(text) for text in given.service_arg),
        seed=_seed(given.seed),
    )


def service_argument(text: str) -> tuple[str, str]:
    """Parse --service-arg NAME=VALUE. BadInputError: it has another form."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise BadInputError(f"--service-arg {text}: must be NAME=VALUE")
    return name, value


def _file(service: str) -> Path | None:
    if service in SERVICES:
        return None
    if not service.endswith(".py"):
        raise BadInputError(
            f"--service {service}: must be {' or '.join(SERVICES)}, or a Python file of your own"
        )
    return Path(service)


def _seed(text: str | None) -> bytes:
    """Return the seed in 32 hexadecimal digits, or a random one."""
    if text is None:
        return os.urandom(SEED_BYTES)
    if not re.fullmatch(r"[0-9a-fA-F]{32}", text):
        raise BadInputError(f"--seed {text}: must be 32 hexadecimal digits")
    return bytes.fromhex(text)


def memory_bytes(text: str) -> int:
    """Parse --memory, as 64MiB, into bytes; BadInputError: not a size from 1 MiB to 1 TiB."""
    match = re.fullmatch(r"([0-9]{1,13})(KiB|MiB|GiB|)", text)
    if match is None:
        raise BadInputError(
            f"--memory {text}: not a size; give bytes, or a number with KiB, MiB or GiB"
        )
    size = int(match[1]) << _UNITS[match[2]]
    if size < MEMORY_BYTES_MIN:
        raise BadInputError(f"--memory {text}: too small; give at least 1MiB")
    if size > 1 << 40:
        raise BadInputError(f"--memory {text}: more than 1 TiB")
    return size


def _listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        bracketed = host.startswith("[") and host.endswith("]")
        address = ip_address(host[1:-1] if bracketed else host)
        if bracketed != (address.version == 6) or not re.fullmatch(r"[0-9]{1,5}", port):
            raise ValueError
        if int(port) > 65_535:
            raise ValueError
    except ValueError:
        raise BadInputError(
            f"--listen {text}: not an address; give ADDR:PORT, as 127.0.0.1:11211 or [::1]:11211"
        ) from None
    return str(address), int(port)
