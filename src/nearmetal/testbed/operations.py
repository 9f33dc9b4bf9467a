"""Operations of an agent: one small function for each request; results are returned as JSON."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from nearmetal.build.programs import Build
from nearmetal.dut import available
from nearmetal.errors import NearmetalError
from nearmetal.kv.client import Client
from nearmetal.kv.corpus import quick_corpus
from nearmetal.machine import facts
from nearmetal.machine.cores import cpus
from nearmetal.machine.cores.placement import Cores
from nearmetal.machine.journal import Journal
from nearmetal.machine.processes.process import START_S, Child, Where
from nearmetal.machine.tune.apply import tuned
from nearmetal.machine.tune.wanted import Wanted
from nearmetal.spec import own_service, services
from nearmetal.spec.services import ServiceRow
from nearmetal.testbed import data_nic, deployment, remote_dut
from nearmetal.trial import busy

_GO_WAIT_NS_MAX = 2 * 10**9


@dataclass
class Agent:
    """The agent's state: its machine, while a controller uses it."""

    journal: Journal
    stack: ExitStack  # undone at the agent's end
    cores: Cores
    seen: dict[str, Any]
    children: dict[int, Child] = field(default_factory=dict)
    started: int = 0
    build: Build | None = None
    own: tuple[ServiceRow, ...] = ()  # users' services
    serving: remote_dut.Serving | None = None

    def halt(self) -> None:
        """End the DUT, if there is one, and restore the NIC."""
        if self.serving is not None:
            self.serving.stack.close()
            self.serving = None


def look() -> dict[str, Any]:
    """Return the machine's facts, and what it lacks."""
    return {
        "missing": [f"{what}: {cost}" for what, cost in available.missing()],
        "missing_to_ask": [f"{what}: {cost}" for what, cost in available.missing_to_ask()],
        "facts": facts.facts().model_dump(),
    }


def _hello(agent: Agent, own: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return what the machine is. own: users' services, which the agent knows from now on."""
    agent.own = tuple(map(ServiceRow.model_validate, own))
    for each in agent.own:
        services.adopt(each)
    cores = agent.cores
    return agent.seen | {
        "sut_cpu": cores.sut,
        "tg_cpu": cores.tg,
        "switch_cpus": list(cores.switch),
        "vmm_cpu": cores.vmm,
        "note": cores.note,
    }


def _clock(agent: Agent) -> int:
    return time.monotonic_ns()


def _beat(agent: Agent) -> None:
    """Do nothing: the request itself is the heartbeat."""


def _end(agent: Agent) -> None:
    raise SystemExit(0)


def _programs(agent: Agent, names: list[str], compiles: bool = False) -> dict[str, Any]:
    """Return the programs. compiles: users' services are among what is built here."""
    agent.build = deployment.built(names, agent.own if compiles else ())
    return agent.build.model_dump()


def _port(agent: Agent, **wanted: Any) -> dict[str, Any]:
    """Set up the data NIC of a generator, or of the server between trials, until the agent ends."""
    port = agent.stack.enter_context(data_nic.prepared(agent.journal, data_nic.Wanted(**wanted)))
    return asdict(port)


def _tune(agent: Agent, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Apply the spec's [machine] until the agent ends, in any way."""
    asked = Wanted.model_validate(wanted)
    applied = agent.stack.enter_context(tuned(asked, agent.journal))
    return [each.model_dump() for each in applied]


def _carrier(agent: Agent, nic: str) -> None:
    data_nic.wait_carrier(data_nic.named(nic))


def _forget(agent: Agent, nic: str, addr: str) -> None:
    data_nic.forget(data_nic.named(nic), addr)


def _serve(agent: Agent, order: dict[str, Any]) -> dict[str, Any]:
    agent.halt()
    assert agent.build is not None, "programs must be called first"
    agent.serving = remote_dut.serve(
        agent.journal, agent.build, agent.cores, remote_dut.Order.model_validate(order)
    )
    plan = agent.serving.plan
    return {
        "started_ns": agent.serving.dut.started_ns,
        "address": plan.address,
        "port": plan.port,
        "asks_stats": plan.command.asks_stats,
    }


def _ready(agent: Agent, answered_ns: int) -> str:
    return _running(agent).ready(answered_ns)


def _stand(agent: Agent) -> None:
    """Wait until the server prints that it is ready."""
    _running(agent).dut.expect("ready", START_S)


def _look(agent: Agent) -> dict[str, Any]:
    return _running(agent).look()


def _leave(agent: Agent, elapsed_ns: int, tsc_hz: int) -> dict[str, Any]:
    return _running(agent).end(elapsed_ns, tsc_hz)


def _halt(agent: Agent) -> None:
    agent.halt()


def _running(agent: Agent) -> remote_dut.Serving:
    if agent.serving is None:
        raise NearmetalError("no server runs here")
    return agent.serving


def _said(agent: Agent) -> str:
    return "" if agent.serving is None else agent.serving.dut.said()


def _start(agent: Agent, argv: list[str], cpu: int | None) -> dict[str, int]:
    child = Child(argv, Where(cpu=cpu))
    agent.started += 1
    agent.children[agent.started] = child
    return {"child": agent.started, "pid": child.pid}


def _stop(agent: Agent, child: int) -> None:
    running = agent.children.pop(child, None)
    if running is not None:
        running.stop()


def _go(agent: Agent, child: int, at_ns: int) -> int:
    """Start a generator's load at a time of this machine's clock. Return how late it was, in ns."""
    wait_ns = at_ns - time.monotonic_ns()
    if 0 < wait_ns < _GO_WAIT_NS_MAX:
        time.sleep(wait_ns / 1e9)
    if child in agent.children:
        os.kill(agent.children[child].pid, signal.SIGUSR1)
    return time.monotonic_ns() - at_ns


def _watch(agent: Agent, cpu: int, child: int) -> dict[str, Any]:
    """Read the generator's half of what trial/busy.py's look reads."""
    return {
        "core": cpus.time_of(cpu).model_dump(),
        "switches": busy.switches(agent.children[child].pid) if child in agent.children else (0, 0),
    }


def _corpus(agent: Agent, service: str, addr: str, port: int, most: int | None) -> str | None:
    return quick_corpus(own_service.corpus(services.find(service)), addr, port, most)


def _evictions(agent: Agent, addr: str, port: int) -> int | None:
    with Client(addr, port) as client:
        found = client.stats().get("evictions")
    return None if found is None else int(found)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "hello": _hello,
    "clock": _clock,
    "beat": _beat,
    "end": _end,
    "programs": _programs,
    "port": _port,
    "tune": _tune,
    "carrier": _carrier,
    "forget": _forget,
    "serve": _serve,
    "ready": _ready,
    "stand": _stand,
    "look": _look,
    "leave": _leave,
    "halt": _halt,
    "said": _said,
    "start": _start,
    "stop": _stop,
    "go": _go,
    "watch": _watch,
    "corpus": _corpus,
    "evictions": _evictions,
}
