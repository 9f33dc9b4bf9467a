"""A function of a user's service that does not come back ends every rung's program, with one line,
as docs/services.md shows it.

A program that is stopped, or gets little of its processor, is slow: it is not ended.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("numba")

import psutil
from framed import Framed, MachineDut, ProcessDut, skip_where_missing
from targets import OPEN
from users import Built, asked, configured

import tool
from nearmetal.machine.links.frame_host import HostError
from nearmetal.machine.links.frames import Datagram
from nearmetal.machine.processes.process import ChildError
from nearmetal.spec import rungs
from nearmetal.spec.programs import program_of

Exchange = Callable[[Sequence[bytes]], bytes]

SERVICE = """from nearmetal.service import *


class Kept(State):
    turns = i64()
    slots = array(u8, 64)


service = Service("stuck", port=7011, id=Id(at=0, reply_at=0), state=Kept, request_bytes_min=3)


def prepare(request, state):
    while request[2] == 0x70:
        ahead(state.slots, 0)


def answer(request, reply, state, source, now_ns):
    while request[2] == 0x77:
        state.turns += 1
    if request[2] == 0x73:
        while True:
            pass
    if request[2] == 0x6C:
        for turn in range(load32(request, 3)):
            state.turns = (state.turns * 5 + turn) ^ request[0]
    reply[0] = request[0]
    reply[1] = request[1]
    reply[2] = 1
    return 3
"""
WRITES, SPINS, PREPARES = b"\7\7w345", b"\7\7s3456789", b"\7\7p"
SAID = {
    WRITES: "answer did not come back for a second; the request had 6 bytes: 070777333435",
    SPINS: "answer did not come back for a second; the request had 10 bytes: 0707733334353637...",
    PREPARES: "prepare did not come back for a second; the request had 3 bytes: 070770",
}
GOOD, ANSWERED = b"\0\1.", b"\0\1\1"
# A slow answer uses so much of a processor's time: less than what counts as stuck. How many turns
# that are is tried first, with so many.
SLOW_S, FEW = 0.35, 20_000_000
STOPPED_S = 2.5
NEIGHBOURS = 4  # loops that share the server's processor
# Of the server's own time, its start included; and of any clock, where the machine is busy.
SPENT_MAX_S, PYTHON_SPENT_MAX_S = 5.0, 10.0
NOTICED_S = 240.0


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stuck") / "stuck.py"
    path.write_text(SERVICE)
    return path


@pytest.fixture(scope="module")
def built(file: Path) -> Built:
    return configured(file.parent, [file])


@contextmanager
def started(*command: str | Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a server on a socket; return it and its port."""
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            yield server, int(ready["listen"].rpartition(":")[2])
        finally:
            server.kill()


def ended(server: subprocess.Popen[str], spent_max_s: float = SPENT_MAX_S) -> str:
    """Wait until a server has ended with exit code 1; return its line on stderr."""
    before_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    _, said = server.communicate(timeout=NOTICED_S)
    assert server.returncode == 1 and said.count("\n") == 1, said
    spent_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before_s
    assert spent_s < spent_max_s
    return said


@pytest.mark.parametrize("request_", SAID, ids=["writes", "spins", "prepares"])
@pytest.mark.parametrize("rung", ["host-sock", "host-mmsg"])
def test_a_program_on_sockets_ends(built: Built, rung: str, request_: bytes) -> None:
    path = built.program(program_of(rungs.find(rung), "stuck"))
    with started(path) as (server, port), asked(port) as exchange:
        for _ in range(3):
            assert exchange([GOOD]) == ANSWERED
        told(port, request_)
        assert ended(server) == f"{path.name}: service stuck: {SAID[request_]}\n"


def test_cpython_ends_with_the_same_words(file: Path) -> None:
    command = (sys.executable, "-m", "nearmetal.kv.server", "--service", str(file))
    with started(*command) as (server, port), asked(port) as exchange:
        assert exchange([GOOD]) == ANSWERED
        told(port, WRITES)
        said = ended(server, PYTHON_SPENT_MAX_S)
    assert re.fullmatch(rf"nm-py: {file}:1[89]: {re.escape(SAID[WRITES])}\n", said), said


@pytest.mark.parametrize("request_", SAID, ids=["writes", "spins", "prepares"])
def test_a_unikernel_as_a_process_ends(built: Built, request_: bytes) -> None:
    with framed(built, "ukp-netdev") as target:
        assert isinstance(target.dut, ProcessDut)
        tender, data_pid = target.dut.process, int(target.ready["pid"])
        assert target.host.echo(GOOD) == ANSWERED
        sent(target, request_)
        assert tender.wait(NOTICED_S)
        said = f"nm-tender: service stuck: {SAID[request_]}"
        assert tender.failed() == f"nm-tender ended with exit code 1: {said}"
        assert not psutil.pid_exists(data_pid)


@pytest.mark.parametrize(
    ("asks", "late"),
    [
        (signal.SIGUSR1, "the data process does not report within 5 s"),
        (signal.SIGTERM, "the data process does not end within 10 s, and is killed"),
    ],
)
def test_a_tender_that_waits_for_its_data_process_sees_it(
    built: Built, asks: int, late: str
) -> None:
    """On a machine so busy that the data process gets less than a second of them, it is late."""
    with framed(built, "ukp-netdev") as target:
        assert isinstance(target.dut, ProcessDut)
        tender, spent = target.dut.process, partial(cpu_s, psutil.Process(int(target.ready["pid"])))
        before_s = spent()
        sent(target, WRITES)
        tool.wait_until(lambda: spent() > before_s + 0.05, "work on the request", NOTICED_S)
        os.kill(tender.pid, asks)
        assert tender.wait(NOTICED_S)
        said = tender.failed()
    words = (f"service stuck: {SAID[WRITES]}", late)
    assert said in [f"nm-tender ended with exit code 1: nm-tender: {each}" for each in words]


@pytest.mark.parametrize("request_", [WRITES, PREPARES], ids=["writes", "prepares"])
def test_a_machine_ends(built: Built, request_: bytes) -> None:
    with framed(built, "uk-netdev") as target:
        assert isinstance(target.dut, MachineDut)
        assert target.host.echo(GOOD) == ANSWERED
        sent(target, request_)
        with pytest.raises(ChildError) as caught:
            target.dut.vm.expect("final", NOTICED_S)
    assert str(caught.value).endswith(f"failed: service stuck: {SAID[request_]}")


def test_a_program_that_is_stopped_is_not_stuck(built: Built) -> None:
    with (
        started(built.program("nm-sock-stuck")) as (server, port),
        asked(port, NOTICED_S) as exchange,
    ):
        turns = turns_of_slow(server.pid, exchange)
        process = psutil.Process(server.pid)
        spent = partial(cpu_s, process)
        before_s = spent()
        with ThreadPoolExecutor() as pool:
            reply = pool.submit(exchange, [slow(turns)])
            tool.wait_until(lambda: spent() > before_s, "work on the request", NOTICED_S)
            process.suspend()
            time.sleep(STOPPED_S)
            process.resume()
            assert reply.result(NOTICED_S) == ANSWERED
        assert exchange([GOOD]) == ANSWERED
        assert server.poll() is None


@pytest.mark.parametrize("rung", ["host-sock", "ukp-netdev"])
def test_a_program_on_a_busy_processor_is_not_stuck(built: Built, rung: str) -> None:
    """A slow answer takes longer than a second there, and the server stays."""
    with ExitStack() as stack:
        if rung == "host-sock":
            server, port = stack.enter_context(started(built.program("nm-sock-stuck")))
            pids = [server.pid]
            exchange = stack.enter_context(asked(port, NOTICED_S))
        else:
            target = stack.enter_context(framed(built, rung))
            assert isinstance(target.dut, ProcessDut)
            pids = [int(target.ready["pid"]), target.dut.process.pid]
            exchange = partial(answered, target)
        cpu = min(os.sched_getaffinity(0))
        for pid in pids:
            os.sched_setaffinity(pid, {cpu})
        turns = turns_of_slow(pids[0], exchange)
        for _ in range(NEIGHBOURS):
            stack.enter_context(busy(cpu))
        for _ in range(3):
            assert exchange([slow(turns)]) == ANSWERED
        assert exchange([GOOD]) == ANSWERED


def slow(turns: int) -> bytes:
    """Return a request that takes so many turns of a loop."""
    return b"\0\1l" + turns.to_bytes(4, "big")


def turns_of_slow(pid: int, exchange: Exchange) -> int:
    """Return how many turns use SLOW_S of a processor, by the slowest of some tries."""
    process = psutil.Process(pid)
    found = []
    for _ in range(3):
        before_s = cpu_s(process)
        assert exchange([slow(FEW)]) == ANSWERED
        found.append(cpu_s(process) - before_s)
    # Times of processes are counted in hundredths of a second.
    return min(int(FEW * SLOW_S / max(*found, 0.01)), 2**31)


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def told(port: int, request: bytes) -> None:
    """Send a request, and wait for no reply."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(request, ("127.0.0.1", port))


def sent(target: Framed, request: bytes) -> str:
    """Send a request in a frame; return from which address."""
    source = target.host.address("127.0.0.1")
    target.host.send(target.host.udp(source, request), "udp")
    return source


def answered(target: Framed, requests: Sequence[bytes]) -> bytes:
    """Send requests in frames, of which the last one has a reply, and receive it."""
    for request in requests:
        sent(target, request)

    def reply() -> bytes | None:
        with suppress(HostError):
            found = target.host.receive("a slow request")
            return found.payload if isinstance(found, Datagram) else None
        return None

    return tool.wait_until(reply, "an answer", NOTICED_S)


@contextmanager
def busy(cpu: int) -> Iterator[None]:
    """Keep a processor busy, as another program does."""
    loop = f"import os; os.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", loop]) as other:
        try:
            yield
        finally:
            other.kill()


@contextmanager
def framed(built: Built, rung: str) -> Iterator[Framed]:
    row = rungs.find(rung)
    skip_where_missing(row, "stuck", built.program)
    target = Framed(row, "stuck", built.program, OPEN)
    try:
        yield target
    finally:
        target.close()
