"""The processor: its clock (cpufreq), its threads, and the NMI watchdog that interrupts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearmetal.machine.cores import cpus
from nearmetal.machine.tune.interrupts import affinities_of
from nearmetal.machine.tune.setting import (
    Change,
    LacksError,
    State,
    in_words,
    on_off,
    text_of,
    writes,
)

_CPU = Path("sys/devices/system/cpu")
_NO_CPUFREQ = "no cpufreq: the firmware sets the clock or, for a virtual machine, the host"


@dataclass(frozen=True)
class Governor:
    """The governor of each cpufreq policy (Documentation/admin-guide/pm/cpufreq.rst)."""

    root: Path

    def read(self) -> State:
        governors = [text_of(policy / "scaling_governor") for policy in self._policies()]
        known = [governor for governor in governors if governor]
        return State("governor", in_words(known) if known else None, "" if known else _NO_CPUFREQ)

    def changes(self, wanted: str) -> list[Change]:
        policies = self._policies()
        if not policies:
            raise LacksError(_NO_CPUFREQ)
        for policy in policies:
            has = (text_of(policy / "scaling_available_governors") or wanted).split()
            if wanted not in has:
                raise LacksError(
                    f"{policy.name} has no governor {wanted} (it has: {', '.join(has)})"
                )
        return writes([policy / "scaling_governor" for policy in policies], wanted)

    def _policies(self) -> list[Path]:
        return sorted((self.root / _CPU / "cpufreq").glob("policy[0-9]*"))


@dataclass(frozen=True)
class Turbo:
    """Clock rates above the nominal one, which depend on heat and on the load of other cores.

    intel_pstate has the opposite switch, no_turbo (Documentation/admin-guide/pm/intel_pstate.rst).
    """

    root: Path

    def read(self) -> State:
        file, off = self._file()
        value = text_of(file)
        if value is None:
            return State("turbo", None, "neither intel_pstate nor cpufreq offers a switch for it")
        return State("turbo", on_off(value != off))

    def changes(self, wanted: str) -> list[Change]:
        if (now := self.read()).value is None:
            raise LacksError(now.note)
        file, off = self._file()
        return writes([file], off if wanted == "off" else str(1 - int(off)))

    def _file(self) -> tuple[Path, str]:
        """Return the switch's file and its content when turbo is off."""
        intel = self.root / _CPU / "intel_pstate/no_turbo"
        return (intel, "1") if intel.exists() else (self.root / _CPU / "cpufreq/boost", "0")


@dataclass(frozen=True)
class Smt:
    """Threads that share a core (Documentation/ABI/testing/sysfs-devices-system-cpu, smt)."""

    root: Path

    def read(self) -> State:
        control = text_of(self.root / _CPU / "smt/control")
        note = {
            None: "this kernel has no switch for it",
            "notsupported": "the cores have one thread each",
            "notimplemented": "this kernel has no switch for it",
        }.get(control, "")
        if note:
            return State("smt", None, note)
        if control == "forceoff":
            return State("smt", "off", "the kernel's command line or the firmware fixes it")
        return State("smt", control)

    def changes(self, wanted: str) -> list[Change]:
        now = self.read()
        if now.value is None or (now.note and wanted != now.value):
            raise LacksError(now.note)
        control = writes([self.root / _CPU / "smt/control"], wanted)
        if now.value == wanted:
            return []
        return [*self._rescued(), *control] if wanted == "off" else control

    def _rescued(self) -> list[Change]:
        """Move interrupts that only threads to be switched off may take.

        The kernel would move such interrupts to any core, and not back when the threads return.
        """
        online = cpus.machine(cpus.online_cpus(self.root), self.root).cpus
        first = {cpu.number: min(cpu.siblings) for cpu in online}
        found = []
        for file, may in affinities_of(self.root).items():
            if may and all(first.get(cpu, cpu) != cpu for cpu in may):
                to = cpus.format_list(first[cpu] for cpu in may)
                found.append(Change("value", str(file), to, text_of(file)))
        return found


@dataclass(frozen=True)
class NmiWatchdog:
    """The hard-lockup detector: a perf counter and an NMI on every core (admin-guide/sysctl)."""

    root: Path

    def read(self) -> State:
        value = text_of(self._file())
        if value is None:
            return State("nmi_watchdog", None, "this kernel has no NMI watchdog")
        return State("nmi_watchdog", on_off(value != "0"))

    def changes(self, wanted: str) -> list[Change]:
        if (now := self.read()).value is None:
            raise LacksError(now.note)
        return writes([self._file()], "1" if wanted == "on" else "0")

    def _file(self) -> Path:
        return self.root / "proc/sys/kernel/nmi_watchdog"
