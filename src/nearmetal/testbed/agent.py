"""The agent: what runs on each machine while a controller steers it. Ends by itself without one.

It is told JSON lines on stdin and answers on stdout, one answer a request, in order; what its
children say is passed on in between:

    {"id": 7, "op": "start", "argv": [...], "cpu": 3}   {"id": 7, "ok": {"child": 1, ...}}
                                                        {"child": 1, "line": {"event": "ready"}}
                                                        {"child": 1, "ended": "nm-load ended ..."}
                                                        {"dut": "nm-sock-kv ended ..."}

A thread listens, so that signs of life count whatever the agent does. Where they fail to come for
the time of the lease, or the connection ends, everything is stopped and put back, by the way that
SIGTERM takes.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

from nearmetal import lab
from nearmetal.errors import NearmetalError
from nearmetal.lab import cpus
from nearmetal.lab.journal import open_journal
from nearmetal.lab.process import Child, ChildError, SilentError
from nearmetal.testbed.lease import BEAT_S, LEASE_S, Lease
from nearmetal.testbed.operations import OPERATIONS, Agent, look

_PEEK_S = 0.001
_LOOK_S = 1.0  # how often a DUT's end is looked for: it has nothing to read from


def serve() -> NoReturn:
    """Until the connection ends, or the lease."""
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    awake, wake = os.pipe()
    listener = threading.Thread(target=_listen, args=(requests, wake), daemon=True)
    journal = open_journal()
    with lab.machine_lock(), ExitStack() as stack:
        lab.clean()
        cores, seen = cpus.choose(cpus.allowed()), look()  # before we are kept off most of them
        stack.enter_context(cpus.ourselves_on(cores.control))
        stack.enter_context(journal.holds("process", "what the agent started"))
        # What is prepared for all trials is put back behind what is for one.
        lasting = stack.enter_context(ExitStack())
        agent = stack.enter_context(_stopped(Agent(journal, lasting, cores, seen)))
        listener.start()
        while True:
            readable = _ready([awake, *(child.fileno() for child in agent.children.values())])
            if awake in readable:
                os.read(awake, 4096)
            for words in (*_said(agent.children, readable), *_dead(agent)):
                _say(words)
            while not requests.empty():
                _say(_answer(agent, requests.get()))


def _answer(agent: Agent, asked: dict[str, Any]) -> dict[str, Any]:
    """Carry out a request; what goes wrong is an answer, too. So is a fault of ours: it fails a
    row, and not the run."""
    number, operation = asked.pop("id"), asked.pop("op")
    try:
        return {"id": number, "ok": OPERATIONS[operation](agent, **asked)}
    except NearmetalError as error:
        return {"id": number, "error": str(error)}
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{where.filename.rpartition('/')[2]}:{where.lineno}"
        return {"id": number, "error": f"{type(error).__name__}: {error} ({at})"}


def _said(children: dict[int, Child], readable: set[int]) -> Iterator[dict[str, Any]]:
    """What children have said, or that they have ended."""
    for number, child in list(children.items()):
        if child.fileno() not in readable:
            continue
        try:
            while True:
                yield {"child": number, "line": child.event(_PEEK_S)}
        except SilentError:
            continue
        except ChildError as error:
            yield {"child": number, "ended": str(error)}
            child.stop()
            del children[number]


def _dead(agent: Agent) -> Iterator[dict[str, str]]:
    """That the DUT has ended; once."""
    serving = agent.serving
    if serving is not None and not serving.ended and (reason := serving.dut.failed()) is not None:
        serving.ended = True
        yield {"dut": reason}


@contextmanager
def _stopped(agent: Agent) -> Iterator[Agent]:
    try:
        yield agent
    finally:
        for child in agent.children.values():
            child.stop()
        agent.halt()


def _ready(handles: list[int]) -> set[int]:
    return set(select.select(handles, [], [], _LOOK_S)[0])


def _say(words: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the listener knows that nobody is there
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


def _listen(requests: queue.SimpleQueue[dict[str, Any]], wake: int) -> None:
    """Pass requests on. At the end of the connection or of the lease the agent is to go."""
    lease = Lease(LEASE_S, time.monotonic)
    pending = b""
    while not lease.expired():
        if not select.select([0], [], [], min(BEAT_S, lease.left_s()))[0]:
            continue
        piece = os.read(0, 1 << 16)
        if not piece:
            break
        lease.heard()
        *lines, pending = (pending + piece).split(b"\n")
        for line in lines:
            requests.put(json.loads(line))
        if lines:
            os.write(wake, b"!")
    os.kill(os.getpid(), signal.SIGTERM)
