"""The kernel's command line for this machine: settings that need a boot. Printed, never written.

Each parameter is explained in Documentation/admin-guide/kernel-parameters.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nearmetal.machine.cores import cpus
from nearmetal.machine.cores.placement import Cores, Cpus, in_words, place
from nearmetal.machine.tune.setting import text_of

_GIB_KIB = 1 << 20
_PAGES_MOST = 8


@dataclass(frozen=True)
class Parameter:
    """Words for the command line and their reason; without words, why they are left out."""

    words: str
    why: str


@dataclass(frozen=True)
class Facts:
    """The facts that decide the parameters."""

    machine: Cpus  # every core that is online
    smt: str | None  # /sys/devices/system/cpu/smt/control
    vendor: str
    flags: frozenset[str]
    intel_pstate: bool
    iommu: bool  # whether one is in use
    memory_kib: int
    command_line: str  # of the running kernel


def facts(root: Path) -> Facts:
    """Read the facts from the kernel."""
    cpuinfo = text_of(root / "proc/cpuinfo") or ""
    memory = re.search(r"^MemTotal:\s+(\d+) kB", text_of(root / "proc/meminfo") or "", re.MULTILINE)
    system = root / "sys/devices/system/cpu"
    return Facts(
        machine=cpus.machine(cpus.online_cpus(root) or cpus.allowed(root), root),
        smt=text_of(system / "smt/control"),
        vendor=_field(cpuinfo, "vendor_id"),
        flags=frozenset(_field(cpuinfo, "flags").split()),
        intel_pstate=(system / "intel_pstate").is_dir(),
        iommu=any((root / "sys/class/iommu").glob("*")),
        memory_kib=int(memory[1]) if memory else 0,
        command_line=text_of(root / "proc/cmdline") or "",
    )


def parameters(known: Facts) -> list[Parameter]:
    """Return all parameters in their order on the command line."""
    found = [*_isolation(known), _smt(known), _clock(known)]
    return [*found, _iommu(known), _pages(known)]


def lines(root: Path) -> Iterator[str]:
    """Yield the lines that `tune --boot` prints."""
    known = facts(root)
    chosen = parameters(known)
    yield " ".join(each.words for each in chosen if each.words)
    yield ""
    for each in chosen:
        if each.words:
            yield f"  {each.words}{_now(each.words, known.command_line)}"
            yield f"      {each.why}"
    for each in chosen:
        if not each.words:
            yield f"  left out: {each.why}"
    yield ""
    yield from where(root)
    yield "Nothing was changed. Afterwards: nearmetal tune show"


def where(root: Path) -> Iterator[str]:
    """Yield where to put the command line, for the boot loader that is installed."""
    grub, loader = root / "etc/default/grub", _loader(root)
    if grub.exists():
        made = "grub2-mkconfig -o /boot/grub2/grub.cfg"
        if any((root / folder / "update-grub").exists() for folder in ("usr/sbin", "sbin")):
            made = "update-grub"
        yield f"Append it to GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub; then {made}"
        yield "and reboot."
    elif loader is not None:
        yield "Append it to /etc/kernel/cmdline (systemd-boot); then"
        yield "kernel-install add $(uname -r) /boot/vmlinuz-$(uname -r), and reboot. By hand:"
        yield f"append it to the `options` line of the entry in {loader}."
    else:
        yield "No boot loader is visible on this machine: set it where the machine is started (by a"
        yield "hypervisor or network boot). GRUB: GRUB_CMDLINE_LINUX_DEFAULT in /etc/default/grub;"
        yield "then update-grub. systemd-boot: /etc/kernel/cmdline, or the entry's `options` line."


def _loader(root: Path) -> str | None:
    if (root / "etc/kernel/cmdline").exists():
        return "/boot/loader/entries"
    folders = ("boot/loader/entries", "efi/loader/entries", "boot/efi/loader/entries")
    return next((f"/{folder}" for folder in folders if (root / folder).is_dir()), None)


def _isolation(known: Facts) -> Iterator[Parameter]:
    machine = known.machine
    if known.smt not in (None, "notsupported", "notimplemented"):
        machine = machine.without_siblings()
    cores = place(machine)
    every = frozenset(cpu.number for cpu in machine.cpus)
    alone = _isolated(cores, len(every)) & every
    if not alone:
        few = f"{len(every)} physical core{'s' if len(every) > 1 else ''}"
        yield Parameter(
            "",
            f"isolcpus, nohz_full, rcu_nocbs, irqaffinity: of {few} none can be spared: the"
            f" system needs one besides the server's and the generator's ({in_words(cores)})",
        )
        return
    given, rest = cpus.format_list(alone), cpus.format_list(every - alone)
    shared = f"; {cores.shared}" if cores.shared else ""
    yield Parameter(
        f"isolcpus=managed_irq,domain,{given}",
        f"{in_words(cores)}{shared}: one physical core each, on one NUMA node if the node has"
        f" enough; the scheduler puts no other program there. The system keeps {rest}, with core 0,"
        " on which much of the kernel's own work stays",
    )
    yield Parameter(f"nohz_full={given}", "no clock tick on cores that run a single program")
    yield Parameter(f"rcu_nocbs={given}", "other cores run the kernel's deferred frees (RCU)")
    yield Parameter(f"irqaffinity={rest}", "interrupts are first assigned to the system's cores")


def _isolated(cores: Cores, count: int) -> frozenset[int]:
    """Return the cores in use except core 0, or none of fewer than three: the system needs one."""
    if count < 3:
        return frozenset()
    return frozenset({cores.sut, cores.tg, *cores.switch, cores.vmm}) - {0}


def _smt(known: Facts) -> Parameter:
    if known.smt in (None, "notsupported", "notimplemented"):
        return Parameter("", "nosmt: the kernel reports one thread per core")
    return Parameter("nosmt", "a second thread takes a varying share of a polling core")


def _clock(known: Facts) -> Parameter:
    if known.vendor != "GenuineIntel":
        return Parameter("", f"intel_pstate=disable: the processor is {known.vendor or 'unknown'}")
    if "hypervisor" in known.flags and not known.intel_pstate:
        return Parameter("", "intel_pstate=disable: the host sets a virtual machine's clock")
    return Parameter(
        "intel_pstate=disable", "the cpufreq driver then obeys the governor, as in the paper"
    )


def _iommu(known: Facts) -> Parameter:
    if "hypervisor" in known.flags and not known.iommu:
        return Parameter("", "iommu: a virtual machine without an IOMMU")
    words = "intel_iommu=on iommu=pt" if known.vendor == "GenuineIntel" else "iommu=pt"
    return Parameter(
        words, "vfio-pci can then hand a NIC to DPDK; it costs the kernel's own DMA nothing"
    )


def _pages(known: Facts) -> Parameter:
    count = min(_PAGES_MOST, known.memory_kib // _GIB_KIB // 4)
    if count == 0:
        return Parameter("", f"1 GiB pages: {known.memory_kib >> 10} MiB of memory are too few")
    if "pdpe1gb" not in known.flags:
        return Parameter(
            f"hugepagesz=2M hugepages={count * 512}",
            f"{count} GiB in 2 MiB pages, at most a quarter of the memory: the processor has no"
            " 1 GiB pages (pdpe1gb)",
        )
    return Parameter(
        f"default_hugepagesz=1G hugepagesz=1G hugepages={count}",
        f"{count} GiB, at most a quarter of the memory: only at boot is so much free in one piece",
    )


def _now(words: str, command_line: str) -> str:
    """Return a remark with what the running kernel's command line already has, or ""."""
    running = command_line.split()
    now = [
        each for each in running if each.split("=")[0] in {w.split("=")[0] for w in words.split()}
    ]
    if set(words.split()) <= set(now):
        return "  (already set)"
    return f"  (now: {' '.join(now)})" if now else ""


def _field(cpuinfo: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    return found[1] if found else ""
