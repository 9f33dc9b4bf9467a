"""Stage 3: the wires of a run, brought up and taken down again, in reverse, however the body ends.

Which wires there are, and what each makes on the machine, say the files of wires/. One that cannot
be made here, or whose making fails, has another stand in for it (lo for veth), and the result says
so; where there is none for it, it is left out, and dut/available.py tells its rows why. So what is
wrong with one wire costs its rows and never the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny

from nearmetal.errors import CannotRunError, NearmetalError
from nearmetal.machine.cores import cpus
from nearmetal.machine.tune.apply import Applied
from nearmetal.samples import Frozen
from nearmetal.topology.known import find, stand_in
from nearmetal.topology.standing import Topology
from nearmetal.topology.wire import Wire
from nearmetal.topology.wires import loopback


def standing(data: Any) -> Any:
    """From JSON: a wire that stands, by the class that its file has for it."""
    if not isinstance(data, dict) or not isinstance(data.get("wire"), str):
        return data
    return find(data["wire"]).topology.model_validate(data)


AnyTopology = Annotated[SerializeAsAny[Topology], BeforeValidator(standing)]


class Topologies(Frozen):
    """What stands while a run measures (topology.json). Since version 3 a wire has its own fields
    only."""

    version: int = 3
    wires: tuple[AnyTopology, ...]
    machine: tuple[Applied, ...] = ()  # what the spec's [machine] asked, and what came of it
    failed: dict[str, str] = Field(default_factory=dict)  # wire -> why it does not stand

    def of(self, name: str) -> Topology:
        """The rung's wire as it stands, or what stands in for it."""
        found = self.itself(name) or self.instead_of(name)
        assert found is not None, f"{name} does not stand"
        return found

    def itself(self, name: str) -> Topology | None:
        """The wire of that name; None: it does not stand."""
        return next((top for top in self.wires if top.wire == name), None)

    def instead_of(self, name: str) -> Topology | None:
        """What stands in for a wire; None: nothing does, or it stands itself."""
        other = stand_in(find(name))
        if other is None or self.itself(name) is not None or other.name in self.failed:
            return None
        return self.itself(other.name)

    @property
    def control_cpus(self) -> frozenset[int]:
        """The same for all wires: cores are chosen once."""
        return frozenset(self.wires[0].control_cpus)

    @property
    def sut_cpu(self) -> int:
        """The same for all wires, too."""
        return self.wires[0].sut_cpu


@contextmanager
def up_all(names: Iterable[str], hugepages_bytes: int = 0) -> Iterator[Topologies]:
    """Every wire that a run needs, each the best that we can have; none is between machines."""
    here = [wire for wire in map(find, sorted({*names})) if not wire.between_machines]
    made: dict[str, Topology] = {}
    failed: dict[str, str] = {}
    cores = cpus.choose(cpus.allowed())
    with ExitStack() as stack:

        def stands(wire: Wire) -> bool:
            if wire.name not in {*made, *failed} and wire.up is not None:
                if (reason := wire.why_not()) is not None:
                    failed[wire.name] = reason
                    return False
                try:
                    made[wire.name] = stack.enter_context(wire.up(cores, hugepages_bytes))
                except (NearmetalError, OSError) as error:
                    failed[wire.name] = str(error)
            return wire.name in made

        for wire in here:
            other = stand_in(wire)
            if not stands(wire) and other is not None:
                stands(other)
        if not made:  # a run needs cores also without a wire; for lo nothing is made
            made[loopback.WIRE.name] = stack.enter_context(loopback.up(cores, 0))
        yield Topologies(wires=tuple(made.values()), failed=failed)


def _possible(wire: Wire) -> Wire | None:
    """It, or what stands in for it on this machine."""
    return wire if wire.why_not() is None else stand_in(wire)


@contextmanager
def up(name: str, hugepages_bytes: int = 0) -> Iterator[Topology]:
    """One wire, or its stand-in; hugepages_bytes: what servers want of the kernel's pool."""
    wire = _possible(find(name))
    if wire is None or wire.up is None:
        reason = find(name).why_not() or "it is between machines: `testbed run` has it"
        raise CannotRunError(f"wire {name}: {reason}")
    with wire.up(cpus.choose(cpus.allowed()), hugepages_bytes) as topology:
        yield topology
