"""What tests start, ask, and wait for."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from nearmetal.build import programs
from nearmetal.build.programs import Build
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.lock import BusyError, machine_lock
from nearmetal.machine.processes.process import Child, Event, Where

NEARMETAL = (sys.executable, "-m", "nearmetal")
LONG_S = 300.0  # longest that a command may take
RUN_S = 900.0  # time-out of a test that runs the whole flow, and may have to wait for the machine
GONE_S = 60.0  # what the kernel, or a program, takes apart behind our back
IDLE_S = 0.5  # how long somebody is watched who should sleep
IDLE_SHARE_MAX = 0.1
LOADED_S = 1.0
_PAUSE_S = 0.01
_STDERR_BYTES_MAX = 1 << 20
_BUSY = "another run has this machine"

Finished = subprocess.CompletedProcess[str]
Started = subprocess.Popen[str]
T = TypeVar("T")


# ---- waiting ----


def wait_until(condition: Callable[[], T | None], what: str, limit_s: float = LONG_S) -> T:
    """Look until it is so; returns what was seen. what: words for the failure."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {limit_s:g} s"
        time.sleep(_PAUSE_S)
    return found


def until(speaker: Child, name: str, limit_s: float) -> Event:
    """The next event of that name; others are passed over."""
    while (event := speaker.event(limit_s))["event"] != name:
        pass
    return event


def runs(process: psutil.Process) -> bool:
    """Whether that very process runs: another one of its pid is not it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(*processes: psutil.Process, limit_s: float = GONE_S) -> None:
    """Wait until they have ended."""
    wait_until(lambda: not any(map(runs, processes)), f"end of {processes}", limit_s)


def descendants(pid: int) -> list[psutil.Process]:
    """Who is below a process now; nobody, where it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command_line(process: psutil.Process) -> str:
    """Its words; "" when it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def asleep(*pids: int) -> None:
    """They have nothing to do, and so use no core: seen by the time that each ran, which grows with
    what a process does and not with what others do to the machine."""
    processes = [psutil.Process(pid) for pid in pids]
    began, before = time.monotonic(), [_ran_s(process) for process in processes]
    time.sleep(IDLE_S)
    spent = [_ran_s(process) - was for process, was in zip(processes, before, strict=True)]
    watched_s = time.monotonic() - began
    assert max(spent) < IDLE_SHARE_MAX * watched_s, f"awake: {spent} of {watched_s:.2f} s"


def _ran_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


# ---- the machine, which one run has at a time ----


@contextmanager
def machine() -> Iterator[None]:
    """No other run has it meanwhile; waits for that, and skips where it takes too long."""
    with ExitStack() as stack:
        try:
            stack.enter_context(machine_lock())
        except BusyError as error:
            pytest.skip(str(error))
        yield


def wait_for_machine() -> None:
    """So that what is started then need not wait: a moment of its time is meant to be hit."""
    with machine():
        return


def skip_where_busy(said: str) -> None:
    """What was started has waited for the machine in vain."""
    if _BUSY in said:
        pytest.skip(said.splitlines()[-1])


# ---- the command nearmetal ----


def start(*words: str | Path, joined: bool = False, apart: bool = False) -> Started:
    """The command, started. joined: stderr goes where stdout does; apart: in a session of its own,
    so that a signal may go to all of it."""
    return subprocess.Popen(
        [*NEARMETAL, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if joined else subprocess.PIPE,
        text=True,
        start_new_session=apart,
    )


def run(*words: str | Path, limit_s: float = LONG_S, env: dict[str, str] | None = None) -> Finished:
    """The command, run to its end, whatever that is."""
    return subprocess.run(
        [*NEARMETAL, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=limit_s,
        env=env,
    )


def succeeds(*words: str | Path, limit_s: float = LONG_S) -> str:
    """The same; it must succeed. What it said on stdout."""
    done = run(*words, limit_s=limit_s)
    skip_where_busy(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def of_bench(spec: str | Path, out: Path, *words: str) -> list[str]:
    """A run's words."""
    return ["bench", "--spec", str(spec), "--out", str(out), "--yes", *words]


def bench(spec: str | Path, out: Path, *words: str) -> str:
    """A run that must succeed. What it said on stdout."""
    return succeeds(*of_bench(spec, out, *words))


def rows(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """A report's rows, by rung and service."""
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return {(row["rung"], row["service"]): row for row in report["rows"]}


@dataclass(frozen=True)
class Served:
    """A running `serve`."""

    process: Started
    address: str
    pid: int  # what answers

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def link(self, end: str) -> Path:
        """Its own, by the end of its name."""
        return Path("/sys/class/net") / owner.label(end, self.process.pid)

    def family(self) -> list[psutil.Process]:
        return descendants(self.process.pid)

    def stop(self, limit_s: float = LONG_S) -> dict[str, Any]:
        """SIGTERM; the final counts."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=limit_s)
        assert self.process.returncode == 0, err
        final: dict[str, Any] = json.loads(out.splitlines()[-1])
        return final


@contextmanager
def serving(rung: str, *words: str) -> Iterator[Served]:
    """A server that is ready."""
    with start("serve", rung, "--json", *words) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            line = process.stdout.readline()
            assert line, process.stderr.read()
            ready = json.loads(line)
            yield Served(process, ready["listen"], ready["pid"])
        finally:
            process.terminate()


def free_address() -> str:
    """Of a TCP port that nobody had a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def metrics(address: str, wanted: str) -> str:
    """What a server tells there, once that is in it: it counts anew every second."""

    def told() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=LONG_S) as answer:
            text: str = answer.read().decode()
        return text if wanted in text else ""

    return wait_until(told, f"{wanted!r} among the metrics")


def wait_beside(
    child: Started, condition: Callable[[], T | None], what: str, limit_s: float = LONG_S
) -> T:
    """Wait until it is so, while a command runs; one that ends before is told."""

    def look() -> T | None:
        found = condition()
        if not found and child.poll() is not None:
            said = "\n".join(filter(None, child.communicate()))
            skip_where_busy(said)
            pytest.fail(f"{what}: it ended: {said}")
        return found

    try:
        return wait_until(look, what, limit_s)
    except AssertionError:
        child.kill()
        raise


def kill_when_loaded(
    words: Sequence[str], server: str, victim: str
) -> tuple[Started, list[psutil.Process], str]:
    """Start a run on vhost-user, and kill a part of it, or "bench" itself, a second after the
    server's generator came (with the corpus there is none). Returns the run, which has ended, all
    that ran when the part was killed, and what was said on stderr."""
    with start(*words) as run:
        family = wait_beside(run, lambda: loaded(run.pid, server), "load")
        if victim == "bench":
            run.kill()
        else:
            next(each for each in family if _program(each) == victim).kill()
        return run, family, run.communicate(timeout=LONG_S)[1]


def loaded(pid: int, server: str) -> list[psutil.Process]:
    """A run's parts, once its generator has been there for a second and asks this server."""
    family = descendants(pid)
    ages = {_program(each): time.time() - each.create_time() for each in family}
    return family if ages.get("nm-load-vhost", 0.0) > LOADED_S and server in ages else []


def _program(process: psutil.Process) -> str:
    """Its name; "" when it has ended. The kernel's own word for it is cut after 15 characters."""
    try:
        return Path(process.exe()).name
    except psutil.Error:
        return ""


# ---- native programs ----


@contextmanager
def untimed() -> Iterator[None]:
    """What is done here does not count for the test's time-out: a build takes what it takes."""
    left = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)


def sanitized(*names: str) -> Build:
    """Programs of the test build, which has the sanitizers in."""
    with untimed():
        return programs.build(names, variant="sanitize")


def sanitized_path(name: str) -> str:
    return sanitized(name).programs[name].path


class Program(Child):
    """A program of ours. What it says on stderr is shown by pytest where the test fails."""

    def __init__(self, argv: Sequence[str | Path]) -> None:
        super().__init__(argv, Where())

    def final(self, limit_s: float) -> Event:
        """Stop it; its last line. It must end by itself, with exit code 0."""
        os.kill(self.pid, signal.SIGTERM)
        return self.last(limit_s)

    def last(self, limit_s: float) -> Event:
        """Its last line, once it has ended."""
        self.ends(limit_s)
        return self.stop()[-1]

    def ends(self, limit_s: float) -> None:
        """By itself, with exit code 0."""
        assert self.wait(limit_s), f"{self.name} did not end within {limit_s:g} s"
        how = self.failed()
        assert how is not None and how.startswith(f"{self.name} ended with exit code 0"), how

    def finish(self, ask: Callable[[], None], grace_s: float) -> list[bytes]:
        """As a child does; what it said on stderr goes to ours."""
        handle = -1 if self._stderr.closed else os.dup(self._stderr.fileno())
        try:
            return super().finish(ask, grace_s)
        finally:
            if handle >= 0:
                sys.stderr.write(os.pread(handle, _STDERR_BYTES_MAX, 0).decode(errors="replace"))
                os.close(handle)
