"""Functions with which tests start programs and wait for them."""

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
LONG_S = 300.0  # time limit of a command
RUN_S = 900.0  # time-out of a test that runs the whole flow, and may wait for the machine
GONE_S = 60.0  # time for the kernel, or a program, to clean up asynchronously
IDLE_S = 0.5  # how long a process that should sleep is observed
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
    """Poll until the condition is true, and return its value. what: text for the failure."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {limit_s:g} s"
        time.sleep(_PAUSE_S)
    return found


def until(speaker: Child, name: str, limit_s: float) -> Event:
    """Return the next event of that name; skip others."""
    while (event := speaker.event(limit_s))["event"] != name:
        pass
    return event


def runs(process: psutil.Process) -> bool:
    """Whether this process runs; another process with its pid does not count."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(*processes: psutil.Process, limit_s: float = GONE_S) -> None:
    """Wait until they have ended."""
    wait_until(lambda: not any(map(runs, processes)), f"end of {processes}", limit_s)


def descendants(pid: int) -> list[psutil.Process]:
    """Return all processes below a process; none if it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command_line(process: psutil.Process) -> str:
    """Return the command line; "" if the process has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def asleep(*pids: int) -> None:
    """Check that the processes use no core: by their own CPU time, which does not depend on the
    load of the machine."""
    processes = [psutil.Process(pid) for pid in pids]
    began, before = time.monotonic(), [_ran_s(process) for process in processes]
    time.sleep(IDLE_S)
    spent = [_ran_s(process) - was for process, was in zip(processes, before, strict=True)]
    watched_s = time.monotonic() - began
    assert max(spent) < IDLE_SHARE_MAX * watched_s, f"awake: {spent} of {watched_s:.2f} s"


def _ran_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


# ---- the machine, which one run uses at a time ----


@contextmanager
def machine() -> Iterator[None]:
    """Lock the machine against other runs; skip if the wait takes too long."""
    with ExitStack() as stack:
        try:
            stack.enter_context(machine_lock())
        except BusyError as error:
            pytest.skip(str(error))
        yield


def wait_for_machine() -> None:
    """Wait for the machine, so that a command started next need not: the test times its moments."""
    with machine():
        return


def skip_where_busy(said: str) -> None:
    """Skip if a command could not get the machine in time."""
    if _BUSY in said:
        pytest.skip(said.splitlines()[-1])


# ---- the command nearmetal ----


def start(*words: str | Path, joined: bool = False, apart: bool = False) -> Started:
    """Start the command. joined: stderr is written to stdout; apart: in a session of its own, so
    that a signal can be sent to all its processes."""
    return subprocess.Popen(
        [*NEARMETAL, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if joined else subprocess.PIPE,
        text=True,
        start_new_session=apart,
    )


def run(*words: str | Path, limit_s: float = LONG_S, env: dict[str, str] | None = None) -> Finished:
    """Run the command to its end, whether it succeeds or not."""
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
    """Run the command, which must succeed; return its stdout."""
    done = run(*words, limit_s=limit_s)
    skip_where_busy(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def of_bench(spec: str | Path, out: Path, *words: str) -> list[str]:
    """Return the command line of a run."""
    return ["bench", "--spec", str(spec), "--out", str(out), "--yes", *words]


def bench(spec: str | Path, out: Path, *words: str) -> str:
    """Run an experiment, which must succeed; return its stdout."""
    return succeeds(*of_bench(spec, out, *words))


def rows(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return a report's rows, by rung and service."""
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return {(row["rung"], row["service"]): row for row in report["rows"]}


@dataclass(frozen=True)
class Served:
    """A running `serve`."""

    process: Started
    address: str
    pid: int  # pid of the process that answers

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def link(self, end: str) -> Path:
        """Return the path of the server's own link, by the end of its name."""
        return Path("/sys/class/net") / owner.label(end, self.process.pid)

    def family(self) -> list[psutil.Process]:
        return descendants(self.process.pid)

    def stop(self, limit_s: float = LONG_S) -> dict[str, Any]:
        """End the server with SIGTERM; return its final counts."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=limit_s)
        assert self.process.returncode == 0, err
        final: dict[str, Any] = json.loads(out.splitlines()[-1])
        return final


@contextmanager
def serving(rung: str, *words: str) -> Iterator[Served]:
    """Start a server, and wait until it is ready."""
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
    """Return the address of a TCP port that was free a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def metrics(address: str, wanted: str) -> str:
    """Return a server's metrics once they contain `wanted`; they are updated every second."""

    def told() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=LONG_S) as answer:
            text: str = answer.read().decode()
        return text if wanted in text else ""

    return wait_until(told, f"{wanted!r} among the metrics")


def wait_beside(
    child: Started, condition: Callable[[], T | None], what: str, limit_s: float = LONG_S
) -> T:
    """Wait until the condition is true; fail if the command ends before."""

    def look() -> T | None:
        found = condition()
        if not found and child.poll() is not None:
            said = "\n".join(filter(None, child.communicate()))
            skip_where_busy(said)
            pytest.fail(f"{what}: the command ended: {said}")
        return found

    try:
        return wait_until(look, what, limit_s)
    except AssertionError:
        child.kill()
        raise


def kill_when_loaded(
    words: Sequence[str], server: str, victim: str
) -> tuple[Started, list[psutil.Process], str]:
    """Start a run on vhost-user, and kill a part of it, or "bench" itself, a second after the start
    of the server's generator (the corpus has none). Returns the run, which has ended, all processes
    that ran when the part was killed, and the run's stderr."""
    with start(*words) as run:
        family = wait_beside(run, lambda: loaded(run.pid, server), "load")
        if victim == "bench":
            run.kill()
        else:
            next(each for each in family if _program(each) == victim).kill()
        return run, family, run.communicate(timeout=LONG_S)[1]


def loaded(pid: int, server: str) -> list[psutil.Process]:
    """Return a run's processes, once its generator has loaded this server for a second."""
    family = descendants(pid)
    ages = {_program(each): time.time() - each.create_time() for each in family}
    return family if ages.get("nm-load-vhost", 0.0) > LOADED_S and server in ages else []


def _program(process: psutil.Process) -> str:
    """Return a program's name; "" if it has ended. The kernel's own name has 15 characters only."""
    try:
        return Path(process.exe()).name
    except psutil.Error:
        return ""


# ---- native programs ----


@contextmanager
def untimed() -> Iterator[None]:
    """Stop the clock of the test's time-out: a build may take long."""
    left = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)


def sanitized(*names: str) -> Build:
    """Build programs of the test build, which has sanitizers."""
    with untimed():
        return programs.build(names, variant="sanitize")


def sanitized_path(name: str) -> str:
    return sanitized(name).programs[name].path


class Program(Child):
    """One of our programs. pytest shows its stderr if the test fails."""

    def __init__(self, argv: Sequence[str | Path]) -> None:
        super().__init__(argv, Where())

    def final(self, limit_s: float) -> Event:
        """Stop the program, which must end with exit code 0; return its last event."""
        os.kill(self.pid, signal.SIGTERM)
        return self.last(limit_s)

    def last(self, limit_s: float) -> Event:
        """Wait for the program's end; return its last event."""
        self.ends(limit_s)
        return self.stop()[-1]

    def ends(self, limit_s: float) -> None:
        """Wait for the program's end; it must exit with code 0."""
        assert self.wait(limit_s), f"{self.name} did not end within {limit_s:g} s"
        how = self.failed()
        assert how is not None and how.startswith(f"{self.name} ended with exit code 0"), how

    def finish(self, ask: Callable[[], None], grace_s: float) -> list[bytes]:
        """End the program like any child, and copy its stderr to this process's stderr."""
        handle = -1 if self._stderr.closed else os.dup(self._stderr.fileno())
        try:
            return super().finish(ask, grace_s)
        finally:
            if handle >= 0:
                sys.stderr.write(os.pread(handle, _STDERR_BYTES_MAX, 0).decode(errors="replace"))
                os.close(handle)
