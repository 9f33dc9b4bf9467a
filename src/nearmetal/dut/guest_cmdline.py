"""The kernel command line of a guest, which carries all its options.

Words that begin with `nm.` are for the guest's first process (native/guest/cmdline.h). The kernel
takes them for parameters of a module that is not loaded, and ignores them silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearmetal.build.guest_kernel import VFIO_DRIVER
from nearmetal.errors import BadInputError

_BYTES_MAX = 2047  # COMMAND_LINE_SIZE of x86 is 2048, with the NUL

_ALWAYS = (
    "console=ttyS0,115200",
    "quiet",
    "loglevel=3",  # print only messages worse than an error; a panic prints everything
    "panic=-1",  # a panic ends the machine at once
    # The guest's TSC is the host's. Without this word the kernel distrusts it, and every read of
    # the time exits the guest to an emulated timer. KVM's clock is preferred where there is one.
    "tsc=reliable",
    "cryptomgr.notests",  # skip 0.2 s of self-tests of unused ciphers
    "ipv6.disable=1",  # send no unrequested packets on the wire
)


@dataclass(frozen=True)
class Guest:
    """The configuration of one guest."""

    server: Sequence[str]  # options of the server
    store_bytes: int  # memory that the server allocates
    address: str | None = None  # ADDR/BITS; None: the kernel gets no interface
    driver: str | None = None  # the NIC's driver, where user space drives the NIC
    hugepages: int = 0  # number of 2 MiB pages


def command_line(guest: Guest) -> str:
    """Return the command line, for QEMU's -append. Raises BadInputError: it cannot be expressed."""
    words = [*_ALWAYS]
    if guest.hugepages:
        # Reserved at boot, before memory becomes too fragmented for them.
        words.append(f"hugepages={guest.hugepages}")
    if guest.driver == VFIO_DRIVER:
        words.append("intel_iommu=on")
    if guest.driver is not None:
        words.append(f"nm.driver={guest.driver}")
    if guest.address is not None:
        words.append(f"nm.address={guest.address}")
    for word in guest.server:
        if word == "" or not word.isascii() or not word.isprintable() or set(word) & set(' "'):
            raise BadInputError(f"{word!r} cannot be part of a kernel's command line")
    line = " ".join([*words, f'nm.server="{" ".join(guest.server)}"'])
    if len(line) > _BYTES_MAX:
        raise BadInputError(
            f"a guest's command line may have {_BYTES_MAX} bytes, but this one has {len(line)}:"
            " give fewer or shorter options"
        )
    return line
