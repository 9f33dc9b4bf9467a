"""What this process may do: its rights (capabilities(7)), and not its uid.

Uid 0 may lack them all (a container's), and an ordinary user may have some. What a right is worth
also hangs on the namespaces that one is in, so where trying costs nothing it is tried
(links/tried.py, links/xdp.py); these are the words, and the question where nothing can be tried.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

Right = Literal["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_SYS_NICE", "CAP_BPF"]

# Linux include/uapi/linux/capability.h
_BITS: dict[Right, int] = {
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_NICE": 23,
    "CAP_BPF": 39,
}
_ALL_IDS = 0xFFFFFFFF  # user_namespaces(7): the first namespace maps every id to itself


def held(right: Right, proc: Path = Path("/proc")) -> bool:
    """Whether it is among the effective ones of this process."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", _text(proc / "self/status"), re.MULTILINE)
    return found is not None and bool(int(found[1], 16) >> _BITS[right] & 1)


def lacking(right: Right, what: str) -> str:
    """In words, for a row or a command that needs it: the one right, and what for."""
    whose = "which this root has not" if os.geteuid() == 0 else "as root has it"
    return f"needs {right}, {whose}: {what}"


def in_words(proc: Path = Path("/proc")) -> str:
    """Who we are to the kernel."""
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
    """Where that cannot be told, there are no others."""
    words = _text(proc / "self/uid_map").split()
    return not words or words == ["0", "0", str(_ALL_IDS)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
