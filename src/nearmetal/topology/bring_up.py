"""Stage 3: bring up the wires of a run; take them down in reverse order, however the body ends.

The files of wires/ define each wire and what it makes on the machine. A wire that cannot be made
here, or that fails while it is made, is replaced by its stand-in (lo for veth), and the result says
so. Without a stand-in the wire is left out, and dut/available.py reports the reason for its rows.
So a fault of one wire costs its rows, never the whole run.
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
    """Validate JSON data of a wire with the class that its file in wires/ declares."""
    if not isinstance(data, dict) or not isinstance(data.get("wire"), str):
        return data
    return find(data["wire"]).topology.model_validate(data)


AnyTopology = Annotated[SerializeAsAny[Topology], BeforeValidator(standing)]


class Topologies(Frozen):
    """The wires that are up during a run (topology.json).

    Since version 3 each wire has only its own fields.
    """

    version: int = 3
    wires: tuple[AnyTopology, ...]
    machine: tuple[Applied, ...] = ()  # the settings of the spec's [machine], and their results
    failed: dict[str, str] = Field(default_factory=dict)  # wire -> why it is not up

    def of(self, name: str) -> Topology:
        """Return the wire of that name, or its stand-in. One of them must be up."""
        found = self.itself(name) or self.instead_of(name)
        assert found is not None, f"{name} does not stand"
        return found

    def itself(self, name: str) -> Topology | None:
        """Return the wire of that name; None: it is not up."""
        return next((top for top in self.wires if top.wire == name), None)

    def instead_of(self, name: str) -> Topology | None:
        """Return the stand-in of a wire; None: it has none, or the wire itself is up."""
        other = stand_in(find(name))
        if other is None or self.itself(name) is not None or other.name in self.failed:
            return None
        return self.itself(other.name)

    @property
    def control_cpus(self) -> frozenset[int]:
        """Cores of the control process. All wires have the same cores: they are chosen once."""
        return frozenset(self.wires[0].control_cpus)

    @property
    def sut_cpu(self) -> int:
        """The server's core, the same for all wires."""
        return self.wires[0].sut_cpu


@contextmanager
def up_all(names: Iterable[str], hugepages_bytes: int = 0) -> Iterator[Topologies]:
    """Bring up every wire that a run needs, or its stand-in; skip wires between machines."""
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
        if not made:  # a run needs cores even without a wire; for lo nothing is made
            made[loopback.WIRE.name] = stack.enter_context(loopback.up(cores, 0))
        yield Topologies(wires=tuple(made.values()), failed=failed)


def _possible(wire: Wire) -> Wire | None:
    """Return the wire if it can be made here, else its stand-in or None."""
    return wire if wire.why_not() is None else stand_in(wire)


@contextmanager
def up(name: str, hugepages_bytes: int = 0) -> Iterator[Topology]:
    """Bring up one wire, or its stand-in. Raises CannotRunError.

    hugepages_bytes: how much of the kernel's huge page pool the servers need.
    """
    wire = _possible(find(name))
    if wire is None or wire.up is None:
        reason = find(name).why_not() or "it joins several machines; use `testbed run`"
        raise CannotRunError(f"wire {name}: {reason}")
    with wire.up(cpus.choose(cpus.allowed()), hugepages_bytes) as topology:
        yield topology
