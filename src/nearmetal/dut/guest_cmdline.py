"""What is said to a guest at its start: the kernel's command line.

Words that begin with `nm.` are for the guest's first process (native/guest/cmdline.h); the kernel
takes them for parameters of a module that it does not have, and is silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nearmetal.build.guest_kernel import VFIO_DRIVER
from nearmetal.errors import BadInputError

_BYTES_MAX = 2047  # COMMAND_LINE_SIZE of x86 with its NUL

_ALWAYS = (
    "console=ttyS0,115200",
    "quiet",
    "loglevel=3",  # what is worse than an error is said; a panic says everything
    "panic=-1",  # a panic ends the machine at once
    # QEMU's clock is this machine's: without the word the kernel doubts it, and every look at the
    # time leaves the guest for an emulated timer. Where there is a clock of KVM's that is taken.
    "tsc=reliable",
    "cryptomgr.notests",  # ciphers that nobody uses are tested for a fifth of a second
    "ipv6.disable=1",  # nothing is to be said on the wire that nobody asked
)


@dataclass(frozen=True)
class Guest:
    """What one guest is to be."""

    server: Sequence[str]  # the server's words
    store_bytes: int  # of memory that the server asks for
    address: str | None = None  # with the network's bits; None: the kernel gets no interface
    driver: str | None = None  # of the NIC, where that is user space's
    hugepages: int = 0  # of 2 MiB


def command_line(guest: Guest) -> str:
    """For QEMU's -append."""
    words = [*_ALWAYS]
    if guest.hugepages:
        # Set aside at the start, so that no memory can be too broken for them.
        words.append(f"hugepages={guest.hugepages}")
    if guest.driver == VFIO_DRIVER:
        words.append("intel_iommu=on")
    if guest.driver is not None:
        words.append(f"nm.driver={guest.driver}")
    if guest.address is not None:
        words.append(f"nm.address={guest.address}")
    for word in guest.server:
        if word == "" or not word.isascii() or not word.isprintable() or set(word) & set(' "'):
            raise BadInputError(f"{word!r} cannot be said on a kernel's command line")
    line = " ".join([*words, f'nm.server="{" ".join(guest.server)}"'])
    if len(line) > _BYTES_MAX:
        raise BadInputError(
            f"a guest's command line may have {_BYTES_MAX} bytes, and this one has {len(line)}:"
            " give fewer or shorter options"
        )
    return line
