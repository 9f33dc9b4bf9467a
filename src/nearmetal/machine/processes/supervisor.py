"""The service manager that started us, where one did: what it is told, and how its log has a line.

No library: sd_notify(3) is one datagram to a socket that it names, and sd-daemon(3) a number in
front of a line. The packages for it bind libsystemd, or are these lines.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Literal, TextIO

SOCKET = "NOTIFY_SOCKET"  # a path, or with @ in front an abstract name (unix(7))
JOURNAL = "JOURNAL_STREAM"  # device and inode of the log, as stderr has it (systemd.exec(5))
_TAKES_S = 2.0  # so long it may leave its queue full
Level = Literal[3, 4, 6]  # error, warning, as usual: syslog(3)


def tell(*states: str) -> str | None:
    """Send states, as READY=1 or STATUS=...; nothing where no manager asked.

    Gives why a manager that asked could not be told, in words.
    """
    address = os.environ.get(SOCKET, "")
    if not address:
        return None
    if address[0] not in "@/":
        return f"{SOCKET}={address}: neither a path nor an abstract name; the manager is not told"
    name = f"\0{address[1:]}" if address[0] == "@" else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(_TAKES_S)
            manager.connect(name)
            manager.sendall("\n".join(states).encode())
    except OSError as error:  # one of a name that is too long has no number
        return f"{SOCKET}={address}: the manager cannot be told: {error.strerror or error}"
    return None


def is_there() -> bool:
    """Whether a manager started us: it wants to be told, or has our lines."""
    return bool(os.environ.get(SOCKET)) or is_log(sys.stderr)


def is_log(stream: TextIO | None) -> bool:
    """Whether it goes to the manager's log, and not elsewhere since."""
    if stream is None or JOURNAL not in os.environ:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file
        return False
    return os.environ[JOURNAL] == f"{found.st_dev}:{found.st_ino}"


def line(words: str, level: Level = 6) -> str:
    """For stderr. The manager's log has our name before it, and knows a line's level."""
    return f"<{level}>{words}" if is_log(sys.stderr) else f"nearmetal: {words}"
