"""Every rung as a target of the corpus: a server that answers datagrams from several sources.

`open_target` starts a target, which reports at its end how many requests it dropped and why.
Programs listen on loopback, where every address of 127.0.0.0/8 can be a source.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import interfaces
import pytest
from framed import AtInterface, Framed, Relayed, skip_where_missing
from library import Library

import tool
from nearmetal.kv.admission import LOOPBACK, admission
from nearmetal.kv.corpus import CorpusError, Guard, Udp
from nearmetal.kv.corpus.case import ALL_RIGHTS
from nearmetal.kv.model import Model
from nearmetal.machine import needs
from nearmetal.machine.links.frames import UDP_BYTES_MAX
from nearmetal.spec import rungs
from nearmetal.spec.programs import program_of
from nearmetal.topology import known

# Rungs behind a switch or a tap device have the same programs.
_ROWS = tuple(
    rung
    for rung in rungs.RUNGS
    if rung.uses is not None and rung.absent is None
    if known.find(rung.wire).sockets or known.find(rung.wire).shares_memory
)
ON_SOCKETS = tuple(
    rung.name for rung in _ROWS if known.find(rung.wire).sockets and not rung.in_frames
)
ON_MEMORY = tuple(rung.name for rung in _ROWS if known.find(rung.wire).shares_memory)
AT_INTERFACES = tuple(rung.name for rung in _ROWS if rung.uses and rung.uses.at_interface)
ON_FRAMES = (*ON_MEMORY, *AT_INTERFACES)
FRAMED = tuple(rung.name for rung in _ROWS if rung.in_frames)  # the others leave frames to a kernel
LIARS = tuple(
    rung.name
    for rung in _ROWS
    if rung.place != "guest"
    and rung.name == f"{rung.place}-{rung.datapath}"
    and not (rung.uses and rung.uses.is_python)
)
OURS = ("model", "mem", *ON_SOCKETS, *ON_FRAMES)
ALL = (*OURS, "memcached")
AS_INSTALLED = "memcached with its background threads"
START_S = 120.0
NOW_S = 1_800_000_000  # for targets with a simulated clock
WILDCARDS = ("0.0.0.0", "::")
OPEN = Guard(allow=LOOPBACK, admin=LOOPBACK, trusted=LOOPBACK)
TOO_LONG = "the request does not fit one frame of 1,500 bytes of IP"


class Target(Protocol):
    """A running rung."""

    def ask(self, datagram: bytes, source: str) -> list[bytes]: ...

    def drops(self) -> Counter[str]:
        """Stop it; return requests by drop reason or answered, without sentinels."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Tools:
    """Functions that find the programs (fixtures of conftest.py)."""

    programs: Callable[[str], Path]
    third_party: Callable[[str], list[str]]


def open_target(
    rung: str, tools: Tools, guard: Guard = OPEN, host: str = ALL_RIGHTS, service: str = "kv"
) -> Target:
    """Start a rung, and wait until it answers."""
    if rung == "model":
        return ModelTarget(guard)
    if rung == "mem":
        return Library(tools.programs("libnm-kv.so"), guard)
    if rung == "memcached":
        return Memcached(tools.third_party("memcached"), ["-o", "no_lru_crawler,no_lru_maintainer"])
    if rung == AS_INSTALLED:
        return Memcached(tools.third_party("memcached"), [])
    if rung == "host-py":
        python = [sys.executable, "-m", "nearmetal.kv.server", "--service", service]
        return Program(python, guard, host)
    if rung in ON_FRAMES:
        return open_framed(rung, tools, guard, service)
    row = rungs.find(rung)
    if row.uses is not None and (reason := needs.why_not(row.uses.needs)) is not None:
        pytest.skip(f"{rung}: {reason}")
    path = tools.programs(program_of(row, service))
    return Program([str(path), *row.options()], guard, host)


def open_framed(rung: str, tools: Tools, guard: Guard, service: str) -> Framed:
    """Start a frame rung; skip if it cannot run."""
    row = rungs.find(rung)
    if rung in AT_INTERFACES:
        interfaces.skip_where_missing(row)
    skip_where_missing(row, service, tools.programs)
    made = AtInterface if rung in AT_INTERFACES else Relayed
    return made(row, service, tools.programs, guard)


def fits(rung: str, request_bytes: int) -> bool:
    """Whether a request can reach the rung at all."""
    return rung not in ON_FRAMES or request_bytes <= UDP_BYTES_MAX


class ModelTarget:
    """The model itself, called as a function."""

    def __init__(self, guard: Guard) -> None:
        self.now_s = NOW_S
        self.model = Model(memory_bytes=1 << 40, now_s=NOW_S)
        self._rights = admission(guard.allow, guard.admin, guard.trusted)
        self._drops: Counter[str] = Counter()

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        reply = self.model.handle(datagram, self.now_s, self._rights(source))
        self._drops[reply.drop] += 1
        return reply.datagrams

    def drops(self) -> Counter[str]:
        return self._drops

    def close(self) -> None:
        pass


class Sockets:
    """Sockets of several sources to one server; a sentinel's answer ends the wait for replies."""

    def __init__(self, host: str, port: int) -> None:
        self._peer = (host, port)
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sockets: dict[str, socket.socket] = {}
        self.sentinel_count = 0
        source = ALL_RIGHTS if self._family == socket.AF_INET else "::1"
        self._main = Udp(self._socket(source))

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        self.sentinel_count += 1
        if source == ALL_RIGHTS:
            return self._main.ask(datagram, source)
        udp = self._socket(source)
        udp.send(datagram)
        # Answers are sent in the order of the requests: by now those to udp have arrived.
        assert self._main.received(datagram) == []
        answers = []
        with contextlib.suppress(BlockingIOError):
            while True:
                answers.append(udp.recv(65_536, socket.MSG_DONTWAIT))
        return answers

    def close(self) -> None:
        for udp in self._sockets.values():
            udp.close()

    def _socket(self, source: str) -> socket.socket:
        if source not in self._sockets:
            udp = socket.socket(self._family, socket.SOCK_DGRAM)
            udp.bind((source, 0))
            udp.connect(self._peer)
            self._sockets[source] = udp
        return self._sockets[source]


class Program:
    """Our own DUT as a process."""

    def __init__(self, command: list[str], guard: Guard, host: str) -> None:
        shown = f"[{host}]" if ":" in host else host
        command = [*command, "--listen", f"{shown}:0"]
        for option in ("allow", "admin", "trusted"):
            for network in getattr(guard, option):
                command += [f"--{option}", network]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())
        self.port = int(self.ready["listen"].rpartition(":")[2])
        asked = host if host not in WILDCARDS else ALL_RIGHTS
        self._sockets = Sockets(asked, self.port)

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        return self._sockets.ask(datagram, source)

    def final(self) -> dict[str, object]:
        """Stop it with SIGTERM and return its last event."""
        self.process.terminate()
        rest, _ = self.process.communicate(timeout=START_S)
        assert self.process.returncode == 0
        line: dict[str, object] = json.loads(rest.splitlines()[-1])
        return line

    def drops(self) -> Counter[str]:
        final = self.final()
        assert isinstance(final["drops"], dict)
        drops = Counter({name: int(count) for name, count in final["drops"].items()})
        assert final["received"] == drops.total()
        drops["answered"] -= self._sockets.sentinel_count
        return drops

    def close(self) -> None:
        self._sockets.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate(timeout=START_S)


class Memcached:
    """The real memcached.

    -R: without it, memcached may drop lines of a datagram in favour of the next. Background threads
    sometimes hold items, and incr and decr do not pad an item that is held; but stats shows all
    names only with these threads.
    """

    def __init__(self, command: list[str], more: list[str]) -> None:
        self._command = [*command, *more, "-p", "0", "-l", ALL_RIGHTS, "-t", "1", "-R", "1000000"]
        self._start()

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        try:
            return self._sockets.ask(datagram, source)
        except CorpusError:
            self.close()  # the parser may be inside a line: start again
            self._start()
            raise

    def drops(self) -> Counter[str]:
        raise NotImplementedError("memcached does not count dropped requests")

    def close(self) -> None:
        self._sockets.close()
        self._process.kill()
        self._process.wait(timeout=START_S)

    def _start(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind((ALL_RIGHTS, 0))
            port = free.getsockname()[1]
        self._process = subprocess.Popen([*self._command, "-U", str(port), "-u", "nobody"])
        self._sockets = Sockets(ALL_RIGHTS, port)
        tool.wait_until(self._answers, "memcached's first answer", START_S)

    def _answers(self) -> bool:
        with contextlib.suppress(CorpusError):
            self._sockets.ask(b"\0\1\0\0\0\1\0\0version\r\n", ALL_RIGHTS)
            return True
        return False
