"""load: run the traffic generator alone against a server, which may stop and restart.

The generator prints one JSON line a second (docs/programs.md); this module turns these lines into
text for people, and into an exit code. The program is nm-load over sockets, nm-load-vhost on a
server's vhost-user socket, nm-load-ethdev on a NIC. A sweep starts it once per point.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nearmetal.build import programs
from nearmetal.commands import evictions, own
from nearmetal.commands.evictions import Told
from nearmetal.commands.load_words import at, describe
from nearmetal.errors import BadInputError, CannotRunError
from nearmetal.machine.processes import signals
from nearmetal.machine.processes.process import Child, Event, SilentError, Where
from nearmetal.report.layout import columns
from nearmetal.samples import Point
from nearmetal.spec import own_service, services
from nearmetal.spec.experiment import Workload
from nearmetal.spec.experiment import load as load_spec
from nearmetal.spec.services import ServiceRow
from nearmetal.spec.sweep import points_of
from nearmetal.spec.window import Window
from nearmetal.topology.wires import veth, vhost_user
from nearmetal.trial.generator import UNTIL_STOPPED_S, arguments, pace

_WORKLOADS = {
    "light": Workload(name="light", keys=100_000),  # fits a server with default options
    "standard": Workload(),
    "smoke": Workload(name="smoke", keys=1_000, flows=4),
    # As in specs/paper.toml; --target sets the destination port.
    "paper": Workload(
        name="paper",
        keys=1_000,
        key_bytes=8,
        value_bytes=8,
        get=1,
        set=0,
        zipf=None,
        flows=1,
        source_port=9_000,
        port=9_001,
        stamp=True,
    ),
}
_LAST_LINE_S = 0.25  # the line of the last second is printed at its end: wait for it
_SLICE_S = 1.0  # check the clock this often: a preload of many keys prints nothing for long
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_WARMUP_S = 1.0
_POINT_S = 3.0  # measured at each point of a sweep, unless --for says otherwise


@dataclass(frozen=True)
class Options:
    """The arguments and options of the command line."""

    target: str
    service: str | None  # None: the first of the table
    workload: str
    window: int | None
    duration: str | None
    as_json: bool
    rate: float | None = None
    arrivals: str = "constant"
    lcores: str | None = None
    sweep: str | None = None
    vhost_user: Path | None = None
    nic: str | None = None
    source: str | None = None
    quiet: bool = False
    arguments: tuple[str, ...] = ()  # for the init of a user's service

    @property
    def row(self) -> ServiceRow:
        """Row of the table of services."""
        return services.find(self.service or services.FIRST)


@dataclass(frozen=True)
class _Line:
    """A command line. argv precedes the workload's options; eal follows them, after `--`."""

    argv: list[str]
    where: Where
    eal: list[str] | None = None

    def child(self, options: Sequence[str]) -> Child:
        behind = [] if self.eal is None else ["--", *self.eal]
        return Child([*self.argv, *options, *behind], self.where)


@dataclass
class _Tally:
    """Counts so far. missing: keys that were stored but not found."""

    answered: int = 0
    wrong: int = 0  # missing keys excluded
    missing: int = 0

    def add(self, event: Event) -> None:
        """Add the counts of one line of the generator."""
        self.answered += event.get("answered", 0)
        self.missing += event["unexpected_miss"]
        self.wrong += event["wrong"] - event["unexpected_miss"]


def load(options: Options) -> int:
    """Drive the target until the time is over or a signal arrives; return the exit code.

    1: an answer was wrong, a key was lost, or nothing was answered. A signal has its own code.
    """
    _check(options)
    with _settled(options) as settled:
        return _load(settled)


@contextmanager
def _settled(options: Options) -> Iterator[Options]:
    """Yield the options with the name of the service in place of its file.

    What the generator asks a user's service is in a file while the body runs.
    """
    if options.service is None or not own.is_file(options.service):
        if options.arguments:
            raise BadInputError("--service-arg: only with --service FILE")
        yield options
        return
    (row,) = own.rows([Path(options.service)], options.arguments)
    with tempfile.TemporaryDirectory(prefix="nearmetal-") as folder:
        own_service.asking(row, Path(folder) / "records")
        yield replace(options, service=row.name)


def _load(options: Options) -> int:
    duration_s = None if options.duration is None else seconds(options.duration)
    points = points_of(options.sweep) if options.sweep is not None else ()
    tally = _Tally()
    before = _stats(options)
    code = 0
    with _edition(options) as line:
        try:
            if points:
                _sweep(options, line, points, duration_s or _POINT_S, tally)
            else:
                _drive(options, line, duration_s, tally)
        except KeyboardInterrupt as end:
            code = signals.code_of_service(end)
        finally:
            lost = _sum_up(options, tally, before)
    return code or (1 if tally.wrong or lost or not tally.answered else 0)


def _sum_up(options: Options, tally: _Tally, before: Told | None) -> bool:
    """Print the last lines; return whether the server lost keys that it did not evict."""
    _say(f"{tally.answered} right answers, {tally.wrong} wrong")
    if not tally.missing:
        return False
    told = _stats(options)
    gone = evictions.evicted(before, told)
    _say(evictions.in_words(tally.missing, gone, told, _workload(options.workload)))
    return gone == 0


def _stats(options: Options) -> Told | None:
    """Return the server's counters; None where it stores no keys, or sockets cannot reach it."""
    in_frames = options.vhost_user is not None or options.nic is not None
    return None if in_frames or not options.row.stores else evictions.asked(options.target)


def _say(text: str) -> None:
    print(f"nearmetal: {text}", file=sys.stderr)


def _tell(options: Options, words: str, event: Mapping[str, Any]) -> None:
    """Print one line on stdout: words for people, or the event as JSON for programs."""
    if options.as_json:
        print(json.dumps(event), flush=True)
    elif not options.quiet:
        print(words, flush=True)


def _drive(options: Options, line: _Line, duration_s: float | None, tally: _Tally) -> None:
    """Print a line a second until the time is over.

    The time is measured here, not by the generator, because the target may be down meanwhile.
    """
    wide = columns()
    point = Point(rate_per_s=options.rate)
    with line.child([*_asked(options, point, UNTIL_STOPPED_S), "--stay"]) as child:
        for event in _events(child, duration_s):
            missed = tally.missing
            if event["event"] in ("second", "verified"):
                tally.add(event)
            _tell(options, describe(event, wide), event)
            if tally.missing and not missed:
                _say("stored keys are missing: a full server evicts keys; details at the end")


def _sweep(
    options: Options, line: _Line, points: Sequence[Point], duration_s: float, tally: _Tally
) -> None:
    """Print a line per point. Keys are stored once: later points accept the versions they find."""
    wide = columns()
    for number, point in enumerate(points):
        asked = _asked(options, point, duration_s)
        asked += ["--no-preload"] if number and options.row.stores else []
        with line.child(asked) as child:
            for event in _events(child, None):
                if event["event"] == "verified" and not number:
                    tally.add(event)
                if event["event"] != "result":
                    continue
                tally.add(event)
                told = {"point": point.model_dump(exclude_none=True), **event}
                _tell(options, at(point, event, wide), told)
                break


def _events(child: Child, duration_s: float | None) -> Iterator[Event]:
    """Yield the generator's events until the time is over; there may be none for long."""
    deadline = math.inf
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            event = child.event(min(left_s, _SLICE_S))
        except SilentError:
            continue
        # The time starts with the first measured second, or when the server is found silent.
        if duration_s and deadline == math.inf and event["event"] in ("measuring", "down"):
            deadline = time.monotonic() + duration_s + _LAST_LINE_S
        yield event


def seconds(text: str) -> float:
    """Return the seconds in 10s, 500ms, 5m or 1h. Raises BadInputError for any other text."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text.strip())
    if found is None or float(found.group(1)) == 0:
        raise BadInputError(f"--for {text}: give a time, e.g. 10s or 5m")
    return float(found.group(1)) * _SECONDS[found.group(2)]


def _check(options: Options) -> None:
    """Raise BadInputError for every fault that is visible before a program is started."""
    address, _, port = options.target.rpartition(":")
    if not address or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise BadInputError(f"{options.target}: the target is ADDR:PORT, e.g. 127.0.0.1:11211")
    if options.service not in (None, *services.NAMES) and not own.is_file(options.service):
        known = " or ".join(services.NAMES)
        raise BadInputError(f"--service {options.service}: give {known}, or a file of your own")
    if options.arrivals not in ("constant", "poisson"):
        raise BadInputError(f"--arrivals {options.arrivals}: give constant or poisson")
    if options.rate is not None and options.sweep is not None:
        raise BadInputError("--rate: a sweep sets the rates itself, e.g. --sweep rate=1e5,2e5")
    _workload(options.workload)
    _check_edition(options)


def _check_edition(options: Options) -> None:
    frames = options.vhost_user is not None or options.nic is not None
    if options.vhost_user is not None and options.nic is not None:
        raise BadInputError("--vhost-user and --nic: give one of them")
    if frames and options.source is None:
        raise BadInputError(
            "--source: missing; with --vhost-user and --nic give the IPv4 address to send from, one"
            " that the server admits"
        )
    if not frames and options.source is not None:
        raise BadInputError(
            "--source: only with --vhost-user or --nic; for sockets the kernel chooses the address"
        )
    if frames and options.lcores is not None:
        raise BadInputError("--lcores: not with --vhost-user or --nic, which use one core")
    if options.vhost_user is not None and options.sweep is not None:
        raise BadInputError(
            "--sweep: restarts the generator at each point, so a server on a vhost-user socket"
            " would lose its back end; use a spec with [sweep]"
        )


@contextmanager
def _edition(options: Options) -> Iterator[_Line]:
    """Yield the command line of the generator program for the wire, and where it runs."""
    if options.nic is not None:
        from nearmetal.machine.journal import open_journal
        from nearmetal.machine.links import (  # slow to import, and needed for --nic only
            eal,
            nic,
        )

        program = _program("nm-load-ethdev")
        journal = open_journal()
        with nic.port(options.nic, journal) as port, nic.memory(journal) as huge:
            frames = ["--source", str(options.source), "--await"]
            argv = [*eal.memory(hugepages=huge > 0), *eal.threads(os.sched_getaffinity(0))]
            yield _Line([*program, *frames], port.where, [*argv, *port.eal])
    elif options.vhost_user is not None:
        program = _program("nm-load-vhost")
        frames = ["--socket", str(options.vhost_user), "--source", str(options.source), "--await"]
        yield _Line([*program, *frames], Where())
    else:
        threads = [] if options.lcores is None else ["--lcores", options.lcores]
        yield _Line([*_program("nm-load"), *threads], Where())


def _program(name: str) -> list[str]:
    built = programs.build([name])
    if name not in built.programs:
        raise CannotRunError(f"load: {built.missing[name]}")
    return built.programs[name].argv()


def _asked(options: Options, point: Point, measured_s: float) -> list[str]:
    """Return the generator's options for target, workload, window and rate."""
    wire = veth.WIRE if options.vhost_user is None else vhost_user.WIRE
    argv = ["--target", options.target, "--service", options.row.load]
    window = point.window or options.window or Window().of(wire.name)
    workload = _workload(options.workload)
    argv += arguments(workload, window, options.row.name, warmup_s=_WARMUP_S, measured_s=measured_s)
    if point.rate_per_s is not None:
        argv += pace(point.rate_per_s, options.arrivals)
    return argv


def _workload(name: str) -> Workload:
    if name in _WORKLOADS:
        return _WORKLOADS[name]
    if name.endswith(".toml"):
        return load_spec(Path(name)).workload
    known = ", ".join(_WORKLOADS)
    raise BadInputError(f"--workload {name}: unknown; give {known}, or a spec file (.toml)")
