"""The flow of bench.py over several machines: acquire, deploy, examine, measure, release.

The run's folder has the same files as on one machine, and the report is made by the same code;
testbed.json lists the machines and their differences.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearmetal import bench
from nearmetal.build import programs as build
from nearmetal.build.programs import Build
from nearmetal.errors import CannotRunError
from nearmetal.machine.cores import cpus
from nearmetal.machine.facts import MachineFacts
from nearmetal.machine.links.frames import BEHIND_SWITCH_MAC
from nearmetal.machine.processes.process import Child
from nearmetal.machine.tune.apply import Applied
from nearmetal.machine.tune.wanted import Wanted
from nearmetal.report import Report
from nearmetal.samples import Frozen
from nearmetal.spec.experiment import Spec, SpecRung
from nearmetal.spec.rungs import find
from nearmetal.spec.services import ServiceRow
from nearmetal.testbed import deployment, own_files
from nearmetal.testbed.local import LocalTestbed
from nearmetal.testbed.own_files import Carried
from nearmetal.testbed.provider import Host, Testbed
from nearmetal.testbed.remote_agent import Station, beating
from nearmetal.testbed.spec import BedSpec
from nearmetal.testbed.trial import Place, Trials
from nearmetal.topology import known
from nearmetal.topology.bring_up import Topologies
from nearmetal.topology.wires.nic import WIRE as DIRECT
from nearmetal.topology.wires.nic import Nic
from nearmetal.topology.wires.pvp import WIRE as BEHIND_SWITCH
from nearmetal.topology.wires.pvp import Pvp
from nearmetal.trial import rounds
from nearmetal.trial.progress import Shown

_BEHIND_SWITCH = ("guest", "uk", "ukp", "image")  # places where the NIC is a virtqueue
_BUILD_S = 1200.0
_END_S = 10.0
_HELLO_S = 180.0  # an agent's first start installs its environment
_ORDINARY = (
    "SSH logs in as an ordinary user, but NICs and networks need root: set user to one that may"
    ' sudo without a password, or to "root" if it accepts your key'
)
_COMPARED = ("distribution", "kernel", "cpu", "memory_bytes", "governor", "command_line")


class Told(Frozen):
    """The content of testbed.json."""

    version: int = 1
    machines: dict[str, MachineFacts]
    differences: tuple[str, ...]
    tuned: dict[str, tuple[Applied, ...]]  # results of [machine] on each machine
    notes: dict[str, tuple[str, ...]]  # of each machine's data NIC
    clock_errors_ns: dict[str, int]


@dataclass(frozen=True)
class Crew:
    """All machines with their agents, their answers to `hello`, and their programs."""

    stations: dict[str, Station]
    hello: dict[str, dict[str, Any]]
    builds: dict[str, Build]
    own: dict[str, tuple[ServiceRow, ...]]  # users' services, with their paths there


def measure(
    bed: Testbed, machines_spec: BedSpec, chosen: Spec, folder: Path, shown: Shown
) -> tuple[Report, int]:
    """Run a whole spec. Return the report and the exit code, as bench.bench does."""
    chosen = rewired(bench.with_records(chosen, folder))
    bench.write(folder / "spec.json", chosen)
    with ExitStack() as stack:
        crew = stack.enter_context(_manned(bed, chosen, shown))
        places = _places(machines_spec, crew)
        ports = {name: _port(place) for name, place in places.items()}
        for place in places.values():  # all links are up now, and so have a carrier soon
            place.station.ask("carrier", nic=place.seat.nic)
        facts = {name: MachineFacts.model_validate(h["facts"]) for name, h in crew.hello.items()}
        applied = _tuned(chosen, crew, ports, shown)
        told = Told(
            machines=facts,
            tuned=applied,
            differences=tuple(differences(facts)),
            notes={name: tuple(port["notes"]) for name, port in ports.items()},
            clock_errors_ns={name: s.clock()[1] for name, s in crew.stations.items()},
        )
        for line in told.differences:
            shown.say(line)
        for name, said in crew.hello.items():
            for line in said["missing" if name == "sut" else "missing_to_ask"]:
                shown.say(f"{name} lacks {line}")
        bench.write(folder / "testbed.json", told)
        bench.write(folder / "machine.json", facts["sut"])
        bench.write(folder / "build.json", crew.builds["sut"])
        wires = Topologies(wires=_wires(places, ports, crew.hello), machine=applied["sut"])
        bench.write(folder / "topology.json", wires)
        _measure(chosen, crew.builds["sut"], wires, folder, shown, places)
    result = bench.reported(folder, shown)
    failed = any(row.status == "failed" for row in result.rows)
    return result, 1 if failed else 0


def _tuned(
    spec: Spec, crew: Crew, ports: dict[str, dict[str, Any]], shown: Shown
) -> dict[str, tuple[Applied, ...]]:
    """Apply [machine] on all machines; `interface` stands for each machine's data NIC."""
    found = {}
    for name, station in crew.stations.items():
        wanted = Wanted.model_validate(
            {field: getattr(spec.machine, field) for field in Wanted.model_fields}
        )
        if wanted.interface is not None:
            wanted = wanted.model_copy(update={"interface": ports[name]["iface"]})
        answer = station.ask("tune", wanted=wanted.model_dump(mode="json"))
        found[name] = tuple(map(Applied.model_validate, answer))
        for each in found[name]:
            shown.say(f"{name}: {each}")
    return found


def rewired(spec: Spec) -> Spec:
    """Return the experiment with its rows on the wire between machines.

    That wire's null responder takes the place of the veth's.
    """

    def between(row: SpecRung) -> SpecRung:
        rung = find("limit-nic") if row.rung.name == "limit-veth" else row.rung
        behind = rung.place in _BEHIND_SWITCH or known.find(rung.wire).switched
        wire = BEHIND_SWITCH if behind else DIRECT
        return row.model_copy(update={"rung": rung.model_copy(update={"wire": wire.name})})

    rows = {row.rung.name: row for row in map(between, spec.rungs)}  # two rows may become the same
    return spec.model_copy(update={"rungs": tuple(rows.values())})


def differences(facts: dict[str, MachineFacts]) -> Iterator[str]:
    """Yield in words how a generator's machine differs from the server's."""
    sut = facts["sut"]
    for name, machine in facts.items():
        for what in _COMPARED:
            here, there = getattr(sut, what), getattr(machine, what)
            if here != there:
                yield f"{name} differs from sut: {what.replace('_', ' ')}: {there}, not {here}"


@contextmanager
def _manned(bed: Testbed, chosen: Spec, shown: Shown) -> Iterator[Crew]:
    """Acquire and deploy the machines, and start their agents; release all after the body."""
    programs = bench.programs(chosen)
    own = tuple(map(own_files.carried, chosen.own))
    with ExitStack() as stack:
        stack.callback(bed.release)
        shown.stage("acquiring machines")
        began = time.monotonic()
        machines = bed.acquire()
        shown.say(f"{len(machines)} machines acquired in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        folders = _deploy(bed, machines, programs, own, shown)
        shown.say(f"deployed in {time.monotonic() - began:.0f} s")
        shown.stage("starting agents")
        children = {
            m.name: stack.enter_context(
                bed.run(m, [f"{folders[m.name]}/nearmetal", "agent", "--yes"])
            )
            for m in machines
        }
        stations = {m.name: Station(m, children[m.name]) for m in machines}
        stack.callback(_end, list(stations.values()))
        stack.enter_context(beating(list(stations.values())))
        there = {name: tuple(each.at(folders[name]) for each in own) for name in stations}
        yield _examined(stations, programs, there)


def _end(stations: Sequence[Station]) -> None:
    """End all agents at the same time; each restores its machine."""
    for station in stations:
        station.end()
    for station in stations:
        station.gone(_END_S)


def _deploy(
    bed: Testbed,
    machines: Sequence[Host],
    programs: Sequence[str],
    own: Sequence[Carried],
    shown: Shown,
) -> dict[str, str]:
    """Send source and services to every machine, and our programs to machines like this one."""
    here = LocalTestbed(()).facts(Host("here", ""))
    there = {machine.name: bed.facts(machine) for machine in machines}
    for machine in machines:
        if not (there[machine.name].is_root or there[machine.name].may_sudo):
            raise CannotRunError(f"{machine.where}: {_ORDINARY}")
    why = {name: deployment.alike(here, facts) for name, facts in there.items()}
    folders = {}
    with tempfile.TemporaryDirectory(prefix="nearmetal-") as scratch:
        built = plain = None
        for machine in machines:
            reason = why[machine.name]
            if reason is None:
                if built is None:
                    rows = [each.here for each in own]
                    done = build.build(programs, progress=shown.stage, own=rows)
                    built = deployment.pack(Path(scratch), done, own)
                folders[machine.name] = bed.deploy(machine, built)
                continue
            shown.say(f"{machine.name} builds for itself: {reason}")
            plain = plain or deployment.pack(Path(scratch), None, own)
            folder = folders[machine.name] = bed.deploy(machine, plain)
            served = own if machine.name == "sut" else ()
            for words in [own_files.options(each.at(folder)) for each in served] or [[]]:
                _build_there(bed, machine, [f"{folder}/nearmetal", "build", "--yes", *words])
    return folders


def _build_there(bed: Testbed, machine: Host, command: Sequence[str]) -> None:
    with bed.run(machine, command) as child:
        ended = child.wait(_BUILD_S)
        reason = _failed(child) if ended else f"its build took more than {_BUILD_S:.0f} s"
    if reason is not None:
        raise CannotRunError(f"{machine.name}: cannot build: {reason}")


def _failed(child: Child) -> str | None:
    reason = child.failed()
    return None if reason is None or "exit code 0" in reason else reason


def _examined(
    stations: dict[str, Station],
    programs: Sequence[str],
    own: dict[str, tuple[ServiceRow, ...]],
) -> Crew:
    """Check that each agent answers, has its rights, and has the programs."""
    asked = {
        name: station.post("hello", own=[row.model_dump(mode="json") for row in own[name]])
        for name, station in stations.items()
    }
    hello = {name: stations[name].answer(number, _HELLO_S) for name, number in asked.items()}
    wanted = {name: list(programs) if name == "sut" else ["nm-load"] for name in stations}
    asked = {
        name: station.post("programs", names=wanted[name], compiles=name == "sut")
        for name, station in stations.items()
    }
    builds = {
        name: Build.model_validate(stations[name].answer(number, _BUILD_S))
        for name, number in asked.items()
    }
    for name, found in builds.items():
        if name != "sut" and "nm-load" not in found.programs:
            reason = found.missing.get("nm-load", "it was not built")
            raise CannotRunError(f"{stations[name].machine.where}: no generator: {reason}")
    return Crew(stations, hello, builds, own)


def _places(spec: BedSpec, crew: Crew) -> dict[str, Place]:
    places = {}
    for name, seat in spec.seats().items():
        cpu = crew.hello[name]["sut_cpu" if name == "sut" else "tg_cpu"]
        built = crew.builds[name]
        argv = () if name == "sut" else tuple(built.programs["nm-load"].argv())
        places[name] = Place(crew.stations[name], seat, cpu, argv, crew.own[name])
    return places


def _port(place: Place) -> dict[str, Any]:
    """Set a data NIC up for the run: for the server, only up; for a generator, with its address."""
    is_sut = place.station.name == "sut"
    found: dict[str, Any] = place.station.ask(
        "port",
        nic=place.seat.nic,
        address=place.seat.address,
        frames=is_sut,
        checksums=not is_sut,
        receive_cpu=None,
        rings=place.seat.rings,
        one_queue=is_sut,
    )
    return found


def _wires(
    places: dict[str, Place], ports: dict[str, dict[str, Any]], hello: dict[str, dict[str, Any]]
) -> tuple[Nic, Pvp]:
    """Return the wires to the server's NIC: straight to the server, and through a switch there."""
    sut, first = places["sut"], places["tg1"]
    others = [place for name, place in places.items() if name != "sut"]
    told = ", ".join(f"{place.station.name} on core {place.cpu}" for place in others)
    notes = [f"{name}: {said['note']}" for name, said in hello.items() if said["note"]]
    direct = Nic(
        sut_netns=None,
        tg_netns=None,
        sut_addr=sut.seat.addr,
        tg_addr=first.seat.addr,
        subnet=sut.seat.subnet,
        sut_iface=ports["sut"]["iface"],
        tg_iface=ports["tg1"]["iface"],
        sut_cpu=sut.cpu,
        tg_cpu=first.cpu,
        control_cpus=tuple(sorted(cpus.choose(cpus.allowed()).control)),
        placement=(
            f"{len(places)} machines; server on core {sut.cpu} behind {ports['sut']['iface']}"
            f" ({ports['sut']['driver']}); generators: {told}"
        ),
        notes=tuple(notes),
    )
    polled = tuple(hello["sut"]["switch_cpus"])
    changed = {
        "sut_mac": BEHIND_SWITCH_MAC,
        "switch_netns": "/proc/self/ns/net",
        "switch_cpus": polled,
        "vmm_cpu": hello["sut"]["vmm_cpu"],
        "placement": f"{direct.placement}; a switch polls on {', '.join(map(str, polled))}",
    }
    behind = Pvp.model_validate(direct.model_dump(exclude={"wire"}) | changed)
    return direct, behind


def _measure(
    chosen: Spec,
    built: Build,
    wires: Topologies,
    folder: Path,
    shown: Shown,
    places: dict[str, Place],
) -> None:
    """Measure all rows: the timed part."""
    tgs = tuple(place for name, place in places.items() if name != "sut")
    with bench.measuring(folder, shown):
        rounds.run(chosen, built, wires, folder, shown, Trials(places["sut"], tgs))
