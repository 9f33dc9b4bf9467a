"""A virtual machine as a value, and QEMU's command line for it.

    machine = Machine(kernel, "--listen 10.0.0.2:11211", 64 << 20, accelerator)
    qemu.command(machine, console=..., monitor=...)

Two types. `microvm` has nothing but virtio-mmio devices, a serial line, a timer and an interrupt
controller, so it starts in half the time; it has no ACPI, and QEMU tells its devices on the
kernel's command line. `q35` is a PC: SeaBIOS, PCI, virtio as PCI functions, modern only. Either
boots `-kernel` directly. There is no default device, no display, and no reboot: a guest that resets
ends QEMU, as one that powers off does.

Memory is a memfd shared with whoever is the back end of a vhost-user NIC. Without share=on QEMU
would start, say so in passing, and go on without that NIC (vm.py looks for those words).

What runs is vm.py's, what it runs on accelerator.py's.
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

# Words of QEMU's (net/vhost-user.c, hw/net/vhost_net.c) for a NIC that it goes on without.
NO_NETWORK = ("unable to start vhost net", "falling back on userspace virtio")
# And what it says when back ends come and go, which are no errors of its own.
HARMLESS = (
    "QEMU waiting for connection",
    "ring restore failed",
    "Failed to set msg fds",
    "Failed to write msg",
)


@dataclass(frozen=True)
class VhostUser:
    """A virtio-net whose device side is another process.

    QEMU listens on the socket, before it runs the guest; back ends come and go.
    """

    socket: Path
    mac: str
    ring: int = 256  # entries of each virtqueue, a power of two up to 1,024


@dataclass(frozen=True)
class Tap:
    """A virtio-net on a tap device that is there already, where QEMU is started.

    vhost: the host's kernel carries the frames (/dev/vhost-net), and not QEMU's main loop.
    """

    iface: str
    mac: str
    vhost: bool = False


@dataclass(frozen=True)
class Machine:
    """What a virtual machine is made of."""

    kernel: Path
    command_line: str  # the kernel's
    memory_bytes: int
    accelerator: Accelerator
    type: MachineType = "microvm"
    initrd: Path | None = None
    nics: tuple[VhostUser | Tap, ...] = ()
    vcpus: int = 1
    legacy: bool = False  # its virtio is that from before version 1
    options: tuple[str, ...] = ()  # further words for QEMU

    @property
    def image_bytes(self) -> int:
        """Of the files it boots from."""
        files = [self.kernel, *([self.initrd] if self.initrd else [])]
        return sum(path.stat().st_size for path in files)


def found() -> Path:
    """The program that is started; CannotRunError where there is none."""
    path = shutil.which(PROGRAM)
    if path is None:
        raise CannotRunError(MISSING)
    return Path(path).resolve()


def why_not() -> str | None:
    """Why no virtual machine can run here; None: one can."""
    return None if shutil.which(PROGRAM) else MISSING


def command(machine: Machine, *, console: Path, monitor: int) -> list[str]:
    """QEMU's command line. The serial line is on its standard input and output, and is logged in
    `console`; QMP is on the descriptor `monitor`."""
    argv = [PROGRAM, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    argv += [
        "-name",
        f"{_escaped(machine.kernel.name)},debug-threads=on",
    ]  # threads tell what they are
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
        # QEMU's own default is the older one; our images speak virtio 1.
        legacy = "true" if machine.legacy else "false"
        argv += ["-global", f"virtio-mmio.force-legacy={legacy}"]
    for number, nic in enumerate(machine.nics):
        argv += _nic(machine, nic, number)
    return [*argv, *machine.options]


def given_up(said: str) -> str | None:
    """Why a QEMU that still runs serves nobody, from what it says; None: nothing of the kind."""
    if any(words in said for words in NO_NETWORK):
        return f"{PROGRAM} goes on without its network"
    if "emulation failure" not in said:
        return None
    # A KVM that emulates met an instruction that it does not know; QEMU tells, and waits.
    at, code = re.search(r"RIP=(\w+)", said), re.search(r"<(\w\w)>((?: \w\w){0,7})", said)
    where = f" at 0x{int(at[1], 16):x}" if at else ""
    what = f": {code[1]}{code[2]}" if code else ""
    return f"KVM cannot emulate an instruction{where}{what}"


def _machine(machine: Machine) -> str:
    """Type and accelerator. Without ACPI microvm starts with qboot, which does next to nothing."""
    kinds = {
        # With a clock of the day: times of expiry may be absolute.
        "microvm": "microvm,acpi=off,rtc=on",
        # What a server on a ring has no use for, and SeaBIOS would look at.
        "q35": "q35,sata=off,smbus=off,usb=off,vmport=off",
    }
    return f"{kinds[machine.type]},accel={machine.accelerator.name},memory-backend=memory"


def _nic(machine: Machine, nic: VhostUser | Tap, number: int) -> Iterator[str]:
    name = f"nic{number}"
    device = f"virtio-net-device,netdev={name},mac={nic.mac}"
    if machine.type == "q35":
        spoken = "off,disable-modern=on" if machine.legacy else "on"
        device = f"virtio-net-pci,netdev={name},mac={nic.mac},disable-legacy={spoken},romfile="
        if machine.accelerator.name == "tcg":
            # MSI-X of a vhost-user NIC wants KVM's irqfd; without it QEMU 7.2 dies of SIGSEGV when
            # the guest enables it. A line interrupt will do: it passes through QEMU either way.
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
    """In an option's value a comma is written twice."""
    return str(path).replace(",", ",,")


def append(words: Sequence[str]) -> str:
    """Words as a kernel's command line, which knows no quotes."""
    assert not any(" " in word for word in words)
    return " ".join(words)
