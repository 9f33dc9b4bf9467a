"""Needs of datapaths beside the rights of their wire: tried, and how each is granted.

Each word is one of the column `needs` of the table of datapaths (spec/datapaths). Trying changes
nothing. A right is granted for one command, not for good: a program that is built again would lose
a right that its file has.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from nearmetal.machine import rights
from nearmetal.machine.links import tried, xdp
from nearmetal.machine.rights import Right

Need = Literal["io_uring", "af_packet", "af_xdp"]

# Linux include/uapi/linux/io_uring.h: SINGLE_ISSUER and DEFER_TASKRUN, since Linux 6.1
_SYS_IO_URING_SETUP, _FLAGS, _PARAMS_BYTES, _FLAGS_AT = 425, 1 << 12 | 1 << 13, 120, 8
_DISABLED = Path("/proc/sys/kernel/io_uring_disabled")
_LOCKED_BYTES = 8 << 20  # the memory of all frames of an AF_XDP socket, and its rings


def why_not(needs: tuple[Need, ...]) -> str | None:
    """Return the first thing that is missing here, with the command that grants it; None: none."""
    return next(filter(None, (_TRIED[need]() for need in needs)), None)


@functools.cache
def _io_uring() -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    flags = bytes(_FLAGS_AT) + _FLAGS.to_bytes(4, "little")
    params = ctypes.create_string_buffer(flags, _PARAMS_BYTES)
    made = libc.syscall(_SYS_IO_URING_SETUP, 1, params)
    if made >= 0:
        os.close(made)
        return None
    return _refused(ctypes.get_errno(), _DISABLED)


def _refused(number: int, disabled: Path) -> str:
    """Return why the kernel refuses io_uring, by its error number."""
    if number == errno.EINVAL:
        return f"io_uring needs Linux 6.1 or later; this is {os.uname().release}"
    if number == errno.EPERM and disabled.exists() and disabled.read_text().strip() != "0":
        return "io_uring is switched off: sudo sysctl kernel.io_uring_disabled=0"
    if number == errno.EPERM:
        return "io_uring is refused here, by a sandbox (a container's seccomp filter)"
    return f"no io_uring in this kernel ({os.strerror(number)})"


def _af_packet() -> str | None:
    return _with_command(tried.raw_why_not(), "CAP_NET_RAW")


def _af_xdp() -> str | None:
    """An XDP program, the socket, and the memory that both lock."""
    refused = xdp.why_not() or tried.xsk_why_not()
    if refused is not None:
        return _with_command(refused, "CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_BPF")
    _, most = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if most == resource.RLIM_INFINITY or most >= _LOCKED_BYTES or rights.held("CAP_IPC_LOCK"):
        return None
    return (
        f"AF_XDP locks {_LOCKED_BYTES >> 20} MiB of memory, and the limit is {most >> 10} KiB:"
        " sudo prlimit --pid $$ --memlock=unlimited"
    )


def _with_command(reason: str | None, *needed: Right) -> str | None:
    """Add the command that grants rights, if the reason is that they are missing."""
    lost = [right for right in needed if not rights.held(right)]
    if reason is None or not lost or os.geteuid() == 0:
        return reason
    return f"{reason}; {rights.granting(*needed)}"


_TRIED: dict[Need, Callable[[], str | None]] = {
    "io_uring": _io_uring,
    "af_packet": _af_packet,
    "af_xdp": _af_xdp,
}
