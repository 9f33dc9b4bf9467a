"""A virtual machine as a value, and QEMU's command line for it.

    machine = Machine(kernel, "--listen 10.0.0.2:11211", 64 << 20, accelerator)
    qemu.command(machine, console=..., monitor=...)

There are two types. `microvm` has only virtio-mmio devices, a serial line, a timer and an interrupt
controller, so it starts in half the time; it has no ACPI, and QEMU lists its devices on the
kernel's command line. `q35` is a PC: SeaBIOS, PCI, and modern virtio as PCI functions. Both boot
`-kernel` directly. There is no default device, no display, and no reboot: QEMU ends when the guest
resets, just as when it powers off.

Memory is a memfd shared with the back end of a vhost-user NIC. Without share=on QEMU would print a
warning and run without that NIC (given_up searches for the warning).

vm.py runs the machine; accelerator.py chooses its accelerator.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nearmetal.errors import CannotRunError
from nearmetal.samples import Accelerator

PROGRAM = "qemu-system-x86_64"
MISSING = f"no {PROGRAM} (package qemu-system-x86)"
MachineType = Literal["microvm", "q35"]
# The types with their options.
KINDS: dict[MachineType, str] = {
    # Without ACPI it starts with the minimal firmware qboot. With a real-time clock: times of
    # expiry may be absolute.
    "microvm": "microvm,acpi=off,rtc=on",
    # Without devices that a server does not use and SeaBIOS would probe.
    "q35": "q35,sata=off,smbus=off,usb=off,vmport=off",
}

# QEMU's messages (net/vhost-user.c, hw/net/vhost_net.c) when it runs on without a NIC.
NO_NETWORK = ("unable to start vhost net", "falling back on userspace virtio")
# QEMU's messages when back ends connect and disconnect, which are not errors.
HARMLESS = (
    "QEMU waiting for connection",
    "ring restore failed",
    "Failed to set msg fds",
    "Failed to write msg",
)


@dataclass(frozen=True)
class VhostUser:
    """A virtio-net NIC whose device side is another process.

    QEMU listens on the socket before it runs the guest; back ends may connect and disconnect.
    """

    socket: Path
    mac: str
    ring: int = 256  # entries of each virtqueue, a power of two up to 1,024


@dataclass(frozen=True)
class Tap:
    """A virtio-net NIC on a tap device that exists in the namespace where QEMU is started.

    vhost: the host's kernel carries the frames (/dev/vhost-net) instead of QEMU's main loop.
    """

    iface: str
    mac: str
    vhost: bool = False


@dataclass(frozen=True)
class Machine:
    """The parts and settings of a virtual machine."""

    kernel: Path
    command_line: str  # for the kernel
    memory_bytes: int
    accelerator: Accelerator
    type: MachineType = "microvm"
    initrd: Path | None = None
    nics: tuple[VhostUser | Tap, ...] = ()
    vcpus: int = 1
    legacy: bool = False  # virtio as before version 1
    options: tuple[str, ...] = ()  # more options for QEMU

    @property
    def image_bytes(self) -> int:
        """Size in bytes of the files that the machine boots from."""
        files = [self.kernel, *([self.initrd] if self.initrd else [])]
        return sum(path.stat().st_size for path in files)


def found() -> Path:
    """Return QEMU's path. CannotRunError: QEMU is not installed."""
    path = shutil.which(PROGRAM)
    if path is None:
        raise CannotRunError(MISSING)
    return Path(path).resolve()


def why_not() -> str | None:
    """Return why no virtual machine can run here, or None."""
    return None if shutil.which(PROGRAM) else MISSING


def command(machine: Machine, *, console: Path, monitor: int) -> list[str]:
    """Return QEMU's command line.

    The serial line is on QEMU's standard input and output, and is logged to `console`; QMP is on
    the descriptor `monitor`.
    """
    argv = [PROGRAM, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    argv += [
        "-name",
        f"{_escaped(machine.kernel.name)},debug-threads=on",
    ]  # debug-threads: threads have names
    argv += ["-machine", _machine(machine), "-cpu", machine.accelerator.cpu]
    argv += ["-smp", str(machine.vcpus), "-m", f"{machine.memory_bytes >> 10}K"]
    memory = f"memory-backend-memfd,id=memory,size={machine.memory_bytes},share=on"
    argv += ["-object", memory]
    argv += ["-chardev", f"stdio,id=console,signal=off,logfile={_escaped(console)},logappend=on"]
    argv += ["-serial", "chardev:console"]
    argv += ["-chardev", f"socket,id=monitor,fd={monitor}"]
    argv += ["-mon", "chardev=monitor,mode=control"]
    argv += ["-kernel", str(machine.kernel), "-append", machine.command_line]
    argv += ["-initrd", str(machine.initrd)] if machine.initrd else []
    if machine.type == "microvm":
        # QEMU's default is legacy virtio; our images use virtio 1.
        legacy = "true" if machine.legacy else "false"
        argv += ["-global", f"virtio-mmio.force-legacy={legacy}"]
    for number, nic in enumerate(machine.nics):
        argv += _nic(machine, nic, number)
    return [*argv, *machine.options]


def given_up(said: str) -> str | None:
    """Return why a QEMU that still runs does not serve, from its stderr; None: no such reason."""
    if any(words in said for words in NO_NETWORK):
        return f"{PROGRAM} runs on without its network"
    if "emulation failure" not in said:
        return None
    # KVM's emulator met an instruction that it does not have; QEMU reports it and stops the guest.
    at, code = re.search(r"RIP=(\w+)", said), re.search(r"<(\w\w)>((?: \w\w){0,7})", said)
    where = f" at 0x{int(at[1], 16):x}" if at else ""
    what = f": {code[1]}{code[2]}" if code else ""
    return f"KVM cannot emulate an instruction{where}{what}"


def _machine(machine: Machine) -> str:
    return f"{KINDS[machine.type]},accel={machine.accelerator.name},memory-backend=memory"


def _nic(machine: Machine, nic: VhostUser | Tap, number: int) -> Iterator[str]:
    name = f"nic{number}"
    device = f"virtio-net-device,netdev={name},mac={nic.mac}"
    if machine.type == "q35":
        spoken = "off,disable-modern=on" if machine.legacy else "on"
        device = f"virtio-net-pci,netdev={name},mac={nic.mac},disable-legacy={spoken},romfile="
        if machine.accelerator.name == "tcg":
            # MSI-X of a vhost-user NIC needs KVM's irqfd; without it QEMU 7.2 crashes (SIGSEGV)
            # when the guest enables MSI-X. A line interrupt passes through QEMU in any case.
            device += ",vectors=0"
    if isinstance(nic, VhostUser):
        yield from ("-chardev", f"socket,id={name}c,path={_escaped(nic.socket)},server=on,wait=off")
        yield from ("-netdev", f"vhost-user,id={name},chardev={name}c")
        device += f",rx_queue_size={nic.ring},tx_queue_size={nic.ring}"
    else:
        vhost = "on" if nic.vhost else "off"
        backend = f"tap,id={name},ifname={nic.iface},script=no,downscript=no,vhost={vhost}"
        yield from ("-netdev", backend)
    yield from ("-device", device)


def _escaped(path: Path | str) -> str:
    """Return the path for an option's value, where a comma is written twice."""
    return str(path).replace(",", ",,")


def append(words: Sequence[str]) -> str:
    """Join words to a kernel's command line, which has no quotes."""
    assert not any(" " in word for word in words)
    return " ".join(words)
