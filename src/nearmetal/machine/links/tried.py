"""Test whether links can be made in an own network namespace, by making one.

A thread moves into a new namespace, makes a link and ends; the namespace and the link end with the
thread. No other process sees either, so nothing is changed. Checking rights alone is not enough: in
a user namespace a process has all rights over what belongs to that namespace, a kernel may not have
this kind of link, and a sandbox may refuse the system call.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import socket
import threading
from pathlib import Path
from typing import Literal

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from nearmetal.machine import rights

Kind = Literal["veth", "tuntap"]  # the kernel's names

_CLONE_NEWNET = 0x40000000  # unshare(2)
_OPEN_TREE = 428  # syscall, Linux 5.2, x86-64 (include/uapi/linux/mount.h)
_OPEN_TREE_CLONE, _O_CLOEXEC, _AT_FDCWD = 1, 0o2000000, -100
_AF_XDP = 44  # include/linux/socket.h; a constant of Python from 3.13 on
_TUN = "/dev/net/tun"
_MODULES: dict[Kind, str] = {"veth": "veth", "tuntap": "tun"}


def pair_why_not() -> str | None:
    """Return why no veth pair can be made in namespaces here, or None if it can."""
    return _why_not("veth")


def tap_why_not() -> str | None:
    """Return why no tap device can be made here, or None if it can."""
    return _why_not("tuntap")


@functools.cache
def _why_not(kind: Kind) -> str | None:
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(_try(kind)), daemon=True)
    thread.start()
    thread.join()
    return found[0] if found else f"a {kind} link could not be tried"


def raw_why_not() -> str | None:
    """Return why frames cannot bypass the kernel's stack here, or None if they can."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except OSError as error:
        if not rights.held("CAP_NET_RAW"):
            return rights.lacking("CAP_NET_RAW", "raw frames")
        return f"no raw frames here ({error.strerror})"
    return None


def xsk_why_not() -> str | None:
    """Return why no AF_XDP socket can be opened here, or None if it can."""
    try:
        socket.socket(_AF_XDP, socket.SOCK_RAW).close()
    except OSError as error:
        if error.errno == errno.EPERM and not rights.held("CAP_NET_RAW"):
            return rights.lacking("CAP_NET_RAW", "AF_XDP sockets")
        return f"no AF_XDP sockets here ({error.strerror})"
    return None


def loopback_why_not() -> str | None:
    """Return why 127.0.0.1 cannot be reached, or None if it can. Sends no datagram."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(("127.0.0.1", 9))
    except OSError as error:
        return f"127.0.0.1 cannot be reached ({error.strerror}): ip link set lo up"
    return None


def _try(kind: Kind) -> str | None:
    """Make a link in a new namespace. The calling thread must end afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        return _no_namespace(ctypes.get_errno())
    # A namespace is kept by a mount. Test the right to mounts; this tree is attached nowhere.
    place = b"/proc/thread-self/ns/net"
    tree = libc.syscall(_OPEN_TREE, _AT_FDCWD, place, _OPEN_TREE_CLONE | _O_CLOEXEC)
    if tree < 0 and ctypes.get_errno() == errno.EPERM:
        return (
            "needs CAP_SYS_ADMIN over this mount namespace, which belongs to another user"
            " namespace: mounts keep network namespaces; start with its own (unshare -Urm)"
        )
    if tree >= 0:
        os.close(tree)
    return _no_link(kind)


def _no_namespace(code: int) -> str:
    what = "network namespaces"
    if code == errno.EPERM:
        if not rights.held("CAP_SYS_ADMIN"):
            return rights.lacking("CAP_SYS_ADMIN", what)
        return f"{what} are refused here, by a sandbox or by the kernel's settings"
    if code == errno.ENOSPC:
        return f"no more {what} are allowed here: raise sysctl user.max_net_namespaces"
    return f"no {what} in this kernel ({os.strerror(code)})"


def _no_link(kind: Kind) -> str | None:
    if kind == "tuntap" and not Path(_TUN).exists():
        return f"this machine has no {_TUN}; if its kernel has the module: modprobe tun"
    try:
        with IPRoute() as route:
            if kind == "veth":
                route.link("add", ifname="nm-try", kind="veth", peer={"ifname": "nm-tried"})
            else:
                route.link("add", ifname="nm-try", kind="tuntap", mode="tap")
    except (NetlinkError, OSError) as error:
        return _words(kind, error)
    return None


def _words(kind: Kind, error: NetlinkError | OSError) -> str:
    code = abs(error.code) if isinstance(error, NetlinkError) else error.errno or 0
    if code in (errno.EPERM, errno.EACCES) and not rights.held("CAP_NET_ADMIN"):
        return rights.lacking("CAP_NET_ADMIN", f"{kind} links in a network namespace")
    if kind == "tuntap" and code in (errno.EPERM, errno.EACCES):
        return f"{_TUN} may not be opened here ({os.strerror(code)})"
    hint = f"; if its kernel has the module: modprobe {_MODULES[kind]}"
    return f"no {kind} link can be made here ({os.strerror(code)}){hint}"
