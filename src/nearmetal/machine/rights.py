"""Rights of this process (capabilities(7)), which do not follow from its uid.

Uid 0 may lack all rights (in a container), and an ordinary user may have some. The effect of a
right also depends on the process's namespaces, so where an attempt costs nothing it is made
(links/tried.py, links/xdp.py). This module has the words for messages, and the test for cases where
an attempt is not possible.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

Right = Literal[
    "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_SYS_ADMIN", "CAP_SYS_NICE", "CAP_BPF"
]

# Linux include/uapi/linux/capability.h
_BITS: dict[Right, int] = {
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_IPC_LOCK": 14,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_NICE": 23,
    "CAP_BPF": 39,
}
_ALL_IDS = 0xFFFFFFFF  # user_namespaces(7): the first namespace maps every id to itself


def held(right: Right, proc: Path = Path("/proc")) -> bool:
    """Whether the right is among the effective rights of this process."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", _text(proc / "self/status"), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> _BITS[right] & 1)


def lacking(right: Right, what: str) -> str:
    """Return the words for a row or command that lacks a right: the right and its purpose."""
    whose = "which this root lacks" if os.geteuid() == 0 else "as root has it"
    return f"needs {right}, {whose}: {what}"


def granting(*needed: Right) -> str:
    """Return the command that starts nearmetal as this user with these rights (setpriv(1))."""
    names = ",".join(f"+{right.removeprefix('CAP_').lower()}" for right in needed)
    return (
        "sudo --preserve-env=HOME setpriv --reuid=$(id -u) --regid=$(id -g) --init-groups"
        f" --inh-caps={names} --ambient-caps={names} ./nearmetal ..."
    )


def in_words(proc: Path = Path("/proc")) -> str:
    """Return who this process is to the kernel: user, user namespace, and rights."""
    who = "root" if os.geteuid() == 0 else "an ordinary user"
    if not _in_first_user_namespace(proc):
        who += " of a user namespace"
    lost = [right for right in _BITS if not held(right, proc)]
    if os.geteuid() == 0 and lost:
        return f"{who}, without {', '.join(lost)}"
    having = [right for right in _BITS if right not in lost]
    if os.geteuid() != 0 and having:
        return f"{who}, with {', '.join(having)}"
    return who


def _in_first_user_namespace(proc: Path) -> bool:
    """Whether this is the first user namespace. If /proc cannot show it, there are no others."""
    words = _text(proc / "self/uid_map").split()
    return not words or words == ["0", "0", str(_ALL_IDS)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
