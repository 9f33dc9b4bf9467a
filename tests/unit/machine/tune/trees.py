"""Made-up machines: /sys and /proc as trees of files, with the parts that tests need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CPU = "sys/devices/system/cpu"
POOLS = "sys/kernel/mm/hugepages"


@dataclass(frozen=True)
class Host:
    """Nodes with cores each; the second threads are numbered after all first ones."""

    nodes: int = 1
    cores: int = 4  # per node
    threads: int = 1
    isolated: str = ""
    governors: str = "performance powersave"
    intel: bool = True
    one_gib: bool = True
    virtual: bool = False
    memory_gib: int = 64

    @property
    def count(self) -> int:
        return self.nodes * self.cores * self.threads

    def siblings(self, cpu: int) -> list[int]:
        cores = self.nodes * self.cores
        return [cpu % cores + cores * thread for thread in range(self.threads)]

    def node(self, cpu: int) -> int:
        return cpu % (self.nodes * self.cores) // self.cores


def build(root: Path, host: Host = Host()) -> Path:  # frozen
    """Write the machine's tree; return its root."""
    for cpu in range(host.count):
        put(root, f"{CPU}/cpu{cpu}/topology/physical_package_id", host.node(cpu))
        threads = ",".join(map(str, host.siblings(cpu)))
        put(root, f"{CPU}/cpu{cpu}/topology/thread_siblings_list", threads)
        if host.governors:
            policy = f"{CPU}/cpufreq/policy{cpu}"
            put(root, f"{policy}/scaling_governor", "powersave" if cpu % 2 else "ondemand")
            put(root, f"{policy}/scaling_available_governors", f"{host.governors} ondemand")
    for node in range(host.nodes):
        mine = [str(cpu) for cpu in range(host.count) if host.node(cpu) == node]
        put(root, f"sys/devices/system/node/node{node}/cpulist", ",".join(mine))
    put(root, f"{CPU}/online", f"0-{host.count - 1}")
    put(root, f"{CPU}/isolated", host.isolated)
    put(root, f"{CPU}/smt/control", "on" if host.threads > 1 else "notsupported")
    turbo = "intel_pstate/no_turbo" if host.intel else "cpufreq/boost"
    put(root, f"{CPU}/{turbo}", 0 if host.intel else 1)
    put(root, "proc/sys/kernel/nmi_watchdog", 1)
    for irq in range(24, 30):
        put(root, f"proc/irq/{irq}/smp_affinity_list", f"0-{host.count - 1}")
    put(root, "proc/irq/30/smp_affinity_list", host.count - 1)
    put(root, "proc/irq/31/smp_affinity_list", 0)
    for queue in range(2):
        put(root, f"sys/class/net/eth9/queues/rx-{queue}/rps_cpus", "f")
    for size, count in ((2048, 512), (1048576, 0)):
        for name in ("nr", "free", "resv"):
            put(
                root, f"{POOLS}/hugepages-{size}kB/{name}_hugepages", 0 if name == "resv" else count
            )
    flags = ["fpu", *(["pdpe1gb"] if host.one_gib else []), *(["hypervisor"] * host.virtual)]
    vendor = "GenuineIntel" if host.intel else "AuthenticAMD"
    put(
        root,
        "proc/cpuinfo",
        f"vendor_id\t: {vendor}\nflags\t\t: {' '.join(flags)}\n\nvendor_id\t: x",
    )
    put(root, "proc/meminfo", f"MemTotal:       {host.memory_gib << 20} kB\nMemFree: 1 kB")
    put(root, "proc/cmdline", "quiet mitigations=auto")
    return root


def put(root: Path, name: str, value: object) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")


def get(root: Path, name: str) -> str:
    return (root / name).read_text().strip()


def values(root: Path) -> dict[str, str]:
    """Return every file of a tree with its content."""
    return {
        str(file.relative_to(root)): file.read_text().strip()
        for file in root.rglob("*")
        if file.is_file()
    }
