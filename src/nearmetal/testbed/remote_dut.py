"""The server's machine: its agent starts the DUT of a trial on the data NIC.

The same code as on one machine (dut/, trial/start.py) decides here what to start and how; the
controller only names the rung. So the switch and virtual machines are not controlled over the
network.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nearmetal.build.programs import Build
from nearmetal.dut.contract import Dut
from nearmetal.errors import CannotRunError
from nearmetal.machine.cores import cpus
from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.devices import pci
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import eal
from nearmetal.machine.links.nic import Take
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.process import Event
from nearmetal.machine.vm import accelerator
from nearmetal.machine.vm.vm import Vm
from nearmetal.samples import Frozen, Point
from nearmetal.spec.experiment import Spec, memory_bytes
from nearmetal.spec.programs import PROBE
from nearmetal.spec.rungs import Rung, Service
from nearmetal.testbed import data_nic
from nearmetal.topology import known
from nearmetal.topology.bring_up import AnyTopology
from nearmetal.topology.standing import Switched, Topology
from nearmetal.trial.bed import Bed, Trial
from nearmetal.trial.busy import Span, switches
from nearmetal.trial.start import Plan, Server, planned, server_of, start, switching
from nearmetal.trial.trial import end

REFERENCES = ("memcached", "limit-nic")  # reference rows for which the kernel keeps the NIC


class Order(Frozen):
    """The DUT to start, and its experiment."""

    spec: Spec  # with the values of the trial's point
    point: Point
    rung: Rung
    service: Service
    topology: AnyTopology  # the controller's view
    nic: str
    address: str  # with its prefix
    take: Take


@dataclass
class Serving:
    """A running DUT; closing its stack ends it and restores the NIC."""

    stack: ExitStack
    plan: Plan
    dut: Dut
    receive: str  # in words, where its receive processing is done
    server: Server | None = None
    told: tuple[Event, ...] = ()  # its counters at each look
    ended: bool = False  # its end is reported to the controller, or wanted

    def ready(self, answered_ns: int) -> str:
        """Note the DUT's first answer, at that time of this machine's clock. Return `receive`.

        Only now does a null responder report where its XDP program runs.
        """
        if isinstance(self.dut, Vm):
            self.dut.pin((self.plan.bed.topology.sut_cpu,))  # pinned after its start
        self.server = server_of(self.plan, self.dut, {"monotonic_ns": answered_ns})
        if self.server.xdp is None:
            return self.receive
        where = "in the driver" if self.server.xdp == "native" else "behind the driver"
        return f"{self.receive}; answered by an XDP program {where} ({self.server.xdp} mode)"

    def look(self) -> dict[str, Any]:
        """Read the server's half of what trial/busy.py's look reads."""
        assert self.server is not None
        seen = {
            "core": cpus.time_of(self.plan.bed.topology.sut_cpu).model_dump(),
            "switches": switches(self.server.pid),
            "at_ns": time.monotonic_ns(),
        }
        if self.server.command.turns == "counters":
            self.told = (*self.told, self.dut.counters())
        return seen

    def end(self, elapsed_ns: int, tsc_hz: int) -> dict[str, Any]:
        """End the DUT. Return its counters and resources."""
        assert self.server is not None
        between = Span(elapsed_ns, tsc_hz, self.told)
        plan, self.ended = self.plan, True  # do not report this end as a failure
        left = end(plan.trial, plan.bed, self.server, between)
        return {
            "final": left.final,
            "turns": asdict(left.turns) if left.turns else None,
            "resources": left.resources.model_dump(),
            "guest": left.guest.model_dump() if left.guest else None,
        }


def is_frames(rung: Rung) -> bool:
    """Whether the server, or a switch before it, reads the NIC's frames past the kernel."""
    kernels = rung.name in REFERENCES or (rung.uses is not None and rung.uses.nic == "kernel")
    return known.find(rung.wire).switched or not kernels


def unlinked(rung: Rung, take: Take, driver: str) -> str | None:
    """Return why the server cannot use a card that its kernel driver keeps, or None.

    testpmd, the switch, is linked with all of DPDK's drivers.
    """
    if take != "dpdk" or driver not in pci.SHARING or rung.place != "host":
        return None
    if known.find(rung.wire).switched:
        return None
    return (
        f"nm-dpdk is linked without DPDK's driver for {driver}; use another `take` in the"
        " machine file"
    )


def serve(journal: Journal, build: Build, cores: Cores, order: Order) -> Serving:
    """Start a DUT. After a failure everything is undone."""
    stack, rung = ExitStack(), order.rung
    try:
        top, frames = order.topology, is_frames(rung)
        # The core of the program that reads the frames: the server, or the switch before it.
        receive_cpu = top.switch_cpus[0] if isinstance(top, Switched) else top.sut_cpu
        wanted = data_nic.Wanted(order.nic, order.address, frames, False, receive_cpu, order.take)
        port = stack.enter_context(data_nic.prepared(journal, wanted))
        if (reason := unlinked(rung, order.take, port.driver)) is not None:
            raise CannotRunError(reason)
        topology = _standing(stack, journal, cores, order, port)
        chosen = None
        if rung.machine is not None:
            probe = Path(build.programs[PROBE].path)
            chosen = accelerator.choose(probe, topology.sut_cpu, order.spec.machine.accelerator)
        visit = Trial(rung, order.service, 0, order.point)
        plan = planned(visit, Bed(order.spec, build, topology, chosen))
        stack.enter_context(switching(plan))
        dut = stack.enter_context(start(plan))
        return Serving(stack, plan, dut, "; ".join(filter(None, port.notes)))
    except BaseException:
        stack.close()
        raise


def _standing(
    stack: ExitStack, journal: Journal, cores: Cores, order: Order, port: data_nic.Port
) -> Topology:
    """Return the wire on this machine, with its NIC, a folder for sockets, and huge pages."""
    if not is_frames(order.rung):
        return order.topology
    directory = owner.state_directory() / owner.label("bed")
    stack.enter_context(journal.folder(directory))
    changed: dict[str, Any] = {"directory": str(directory), "port": port.eal}
    changed["control_cpus"] = tuple(sorted(cores.control))
    if order.rung.hugepages:
        wanted = eal.MEMORY_BYTES + memory_bytes(order.spec, order.rung.name)
        wanted += hugepages.PAGE_BYTES
        free = stack.enter_context(hugepages.reserved(journal, wanted))
        changed["hugepages_bytes"] = free if free >= wanted else 0
    return order.topology.model_copy(update=changed)
