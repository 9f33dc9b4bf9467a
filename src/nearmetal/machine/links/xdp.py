"""Test whether the kernel accepts an XDP program, by loading the smallest one."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct

from nearmetal.machine import rights

# bpf(2); Linux include/uapi/linux/bpf.h: BPF_PROG_LOAD, BPF_PROG_TYPE_XDP
_SYS_BPF, _PROG_LOAD, _TYPE_XDP = 321, 5, 6
_ATTR_BYTES = 48  # up to and including prog_flags
# r0 = XDP_PASS; exit
_PROGRAM = struct.pack("<BBhi", 0xB7, 0, 0, 2) + struct.pack("<BBhi", 0x95, 0, 0, 0)


@functools.cache
def why_not() -> str | None:
    """Return why the kernel accepts no XDP program, or None. A loaded program is closed at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    code, licence = ctypes.create_string_buffer(_PROGRAM), ctypes.create_string_buffer(b"BSD")
    attr = struct.pack(
        "<IIQQIIQII",
        *(_TYPE_XDP, len(_PROGRAM) // 8, ctypes.addressof(code), ctypes.addressof(licence)),
        *(0, 0, 0, 0, 0),  # no log; kernel version; flags
    )
    assert len(attr) == _ATTR_BYTES
    made = libc.syscall(_SYS_BPF, _PROG_LOAD, ctypes.create_string_buffer(attr), _ATTR_BYTES)
    if made >= 0:
        os.close(made)
        return None
    number = ctypes.get_errno()
    if number == errno.EPERM:
        if not rights.held("CAP_BPF") and not rights.held("CAP_SYS_ADMIN"):
            return rights.lacking("CAP_BPF", "XDP programs")
        return (
            "XDP programs are refused here: they need CAP_BPF in the machine's own user namespace"
        )
    return f"the kernel accepts no XDP program ({os.strerror(number)})"
