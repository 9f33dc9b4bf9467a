"""The service manager that started this process, if any: notifications to it, and its log's form.

No library is needed: sd_notify(3) sends one datagram to a socket named in the environment, and
sd-daemon(3) puts a number in front of a line. The packages for it bind libsystemd, or are as short.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Literal, TextIO

SOCKET = "NOTIFY_SOCKET"  # a path, or @ and an abstract name (unix(7))
JOURNAL = "JOURNAL_STREAM"  # device and inode of the log that stderr leads to (systemd.exec(5))
_TAKES_S = 2.0  # longest wait while the manager's queue is full
Level = Literal[3, 4, 6]  # error, warning, informational: syslog(3)


def tell(*states: str) -> str | None:
    """Send states, e.g. READY=1 or STATUS=..., to the manager. Without a manager, do nothing.

    Return why the manager could not be notified, in words, or None.
    """
    address = os.environ.get(SOCKET, "")
    if not address:
        return None
    if address[0] not in "@/":
        return f"{SOCKET}={address}: not a path or abstract name; cannot notify the manager"
    name = f"\0{address[1:]}" if address[0] == "@" else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(_TAKES_S)
            manager.connect(name)
            manager.sendall("\n".join(states).encode())
    except OSError as error:  # the error for a name that is too long has no number
        return f"{SOCKET}={address}: cannot notify the manager: {error.strerror or error}"
    return None


def is_there() -> bool:
    """Whether a manager started this process: it expects notifications, or has our stderr."""
    return bool(os.environ.get(SOCKET)) or is_log(sys.stderr)


def is_log(stream: TextIO | None) -> bool:
    """Whether the stream still leads to the manager's log."""
    if stream is None or JOURNAL not in os.environ:
        return False
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or not a file
        return False
    return os.environ[JOURNAL] == f"{found.st_dev}:{found.st_ino}"


def line(words: str, level: Level = 6) -> str:
    """Return a line for stderr. The manager's log adds our name itself and reads the level."""
    return f"<{level}>{words}" if is_log(sys.stderr) else f"nearmetal: {words}"
