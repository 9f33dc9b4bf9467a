"""The agent on each machine while a controller uses it. Without a controller the agent ends.

It reads requests as JSON lines on stdin and answers on stdout, one answer for each request, in
order; events of its children are passed on in between:

    {"id": 7, "op": "start", "argv": [...], "cpu": 3}   {"id": 7, "ok": {"child": 1, ...}}
                                                        {"child": 1, "line": {"event": "ready"}}
                                                        {"child": 1, "ended": "nm-load ended ..."}
                                                        {"dut": "nm-sock-kv ended ..."}
                                                        {"alive": true}

A thread reads stdin, so that heartbeats count while the agent is busy, and answers each with a
heartbeat. If none arrives for the time of the lease, or the connection ends, everything is stopped
and undone, in the same way as after SIGTERM.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import queue
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

from pyroute2.netlink.exceptions import NetlinkError

from nearmetal.errors import NearmetalError, in_words, place
from nearmetal.machine.cores import cpus
from nearmetal.machine.journal import clean, open_journal
from nearmetal.machine.processes.lock import machine_lock
from nearmetal.machine.processes.process import Child, ChildError, SilentError
from nearmetal.testbed.lease import BEAT_S, LEASE_S, Lease
from nearmetal.testbed.operations import OPERATIONS, Agent, look

_PEEK_S = 0.001
_LOOK_S = 1.0  # interval of checks for a DUT's end: a DUT has no output to wait for


def serve() -> NoReturn:
    """Serve requests until the connection or the lease ends."""
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    awake, wake = os.pipe()
    voice = threading.Lock()  # held while writing to stdout
    listener = threading.Thread(target=_listen, args=(requests, wake, voice), daemon=True)
    journal = open_journal()
    with machine_lock(), ExitStack() as stack:
        clean()
        cores, seen = cpus.choose(cpus.allowed()), look()  # before we are pinned to a few of them
        stack.enter_context(cpus.ourselves_on(cores.control))
        stack.enter_context(journal.holds("process", "what the agent started"))
        # Undo order: first what belongs to one trial, then what is for all trials.
        lasting = stack.enter_context(ExitStack())
        agent = stack.enter_context(_stopped(Agent(journal, lasting, cores, seen)))
        listener.start()
        while True:
            readable = _ready([awake, *(child.fileno() for child in agent.children.values())])
            if awake in readable:
                os.read(awake, 4096)
            for words in (*_said(agent.children, readable), *_dead(agent)):
                _say(words, voice)
            while not requests.empty():
                _say(_answer(agent, requests.get()), voice)


def _answer(agent: Agent, asked: dict[str, Any]) -> dict[str, Any]:
    """Carry out a request. An error is an answer too.

    So is a defect of our code: it fails a row, and not the run.
    """
    number, operation = asked.pop("id"), asked.pop("op")
    try:
        return {"id": number, "ok": OPERATIONS[operation](agent, **asked)}
    except NearmetalError as error:
        return {"id": number, "error": str(error)}
    except Exception as error:
        return {"id": number, "error": _words(error)}


def _words(error: Exception) -> str:
    """Describe an error: with its cure if a user can act; else with its place in the code."""
    code = error.code if isinstance(error, NetlinkError) else getattr(error, "errno", None)
    if code in (errno.EPERM, errno.EACCES):
        return (
            f"root on that machine lacks rights ({error}): the agent needs the capabilities"
            " CAP_NET_ADMIN and CAP_SYS_ADMIN"
        )
    return in_words(error) or f"{type(error).__name__}: {error} ({place(error)})"


def _said(children: dict[int, Child], readable: set[int]) -> Iterator[dict[str, Any]]:
    """Yield the events of children, or their ends."""
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
    """Yield that the DUT has ended, once."""
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


def _say(words: dict[str, Any], voice: threading.Lock) -> None:
    with voice, contextlib.suppress(BrokenPipeError):  # the listener sees that the peer has ended
        sys.stdout.write(json.dumps(words) + "\n")
        sys.stdout.flush()


def _nod(voice: threading.Lock) -> None:
    """Send a heartbeat without ever waiting: a full pipe already holds enough of them."""
    if not select.select([], [1], [], 0)[1] or not voice.acquire(blocking=False):
        return
    try:
        os.write(1, b'{"alive": true}\n')
    except BrokenPipeError:
        pass  # the other side sees the end of the connection
    finally:
        voice.release()


def _listen(requests: queue.SimpleQueue[dict[str, Any]], wake: int, voice: threading.Lock) -> None:
    """Queue requests. When the connection or the lease ends, send this process SIGTERM."""
    lease = Lease(LEASE_S, time.monotonic)
    pending = b""
    while not lease.expired():
        if not select.select([0], [], [], min(BEAT_S, lease.left_s()))[0]:
            continue
        piece = os.read(0, 1 << 16)
        if not piece:
            break
        lease.heard()
        _nod(voice)
        *lines, pending = (pending + piece).split(b"\n")
        try:
            for line in lines:
                requests.put(json.loads(line))
        except ValueError:
            break  # the peer is not a controller
        if lines:
            os.write(wake, b"!")
    os.kill(os.getpid(), signal.SIGTERM)
