"""Rungs whose service lies, on every wire, and the lies that it tells.

The liar (tests/c/liar/liar.c) sits between serve.c and the service. It starts to lie when the
generator reports that the measured time has begun, and counts its lies. A Linux program gets a
signal, and writes a log. An image can do neither: it is controlled, and its counts are read, in its
memory (tests/c/liar/liar_image.c).
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import interfaces
import pytest
from framed import (
    PORT,
    SERVER,
    command,
    machine,
    skip_where_missing,
    wait_for,
)

from nearmetal.build.programs import why_not
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns
from nearmetal.machine.processes.process import Event, Where
from nearmetal.machine.vm.vm import Vm
from nearmetal.spec.programs import TENDER, program_of
from nearmetal.spec.rungs import Rung
from tool import Program, sanitized
from tool import sanitized_path as program

TIMEOUTS_MS = (400, 1_600, 4_800)  # one after the other, where the machine stalls for longer
REQUESTS = 100_000
TIMEOUTS = 5  # measured at least: a delayed reply is sent three time-outs later (liar.c)
SERVER_S = 120.0
SAY_S = 120.0  # between two lines: a preload, or a second
RIGHTS = ["--allow", "10.0.0.0/8"]

# enum lie, liar.h
KINDS = ("none", "flip", "drop", "double", "delay", "ignore", "stale")
KINDS += ("cut", "stub", "longer", "other", "id")

Lies = Counter[str]
Measured = tuple[Event, Lies]


@dataclass(frozen=True)
class Liar:
    """A service that lies, and how it is asked."""

    name: str  # of its programs, in the place of the service's
    service: str  # that it lies about
    asked: tuple[str, ...]  # the generator's options
    seed: int
    timeout_ms: int = TIMEOUTS_MS[0]


def measured(rung: Rung, folder: Path, liar: Liar) -> Measured:
    """Load a rung whose service lies; return the result and the lies.

    More late replies than the liar delayed are the machine's: it is asked again with a longer
    time-out. A count that is wrong by itself is wrong with each of them.
    """
    for timeout_ms in TIMEOUTS_MS:
        place = folder / f"{timeout_ms}"
        place.mkdir()
        result, lies = _measured(rung, place, replace(liar, timeout_ms=timeout_ms))
        if result["late"] <= lies["delay"]:
            break
    return result, lies


def _measured(rung: Rung, folder: Path, liar: Liar) -> Measured:
    if rung.place == "ukp":
        return in_an_image(rung, folder, liar)
    if rung.place == "uk":
        return in_a_machine(rung, folder, liar)
    if rung.uses is not None and rung.uses.at_interface:
        return at_interface(rung, folder, liar)
    return on_virtio_user(rung, folder, liar) if rung.in_frames else on_sockets(rung, folder, liar)


def on_sockets(rung: Rung, folder: Path, liar: Liar) -> Measured:
    """nm-<datapath>-<liar> on loopback; joined replies must be split correctly."""
    log = folder / "lies.jsonl"
    words = [program(program_of(rung, liar.name)), "--listen", "127.0.0.1:0", "--memory", "64MiB"]
    with lying([*words, *rung.options()], log, liar) as server:
        address = server.expect("ready", SERVER_S)["listen"]
        with Program([program("nm-load"), "--target", address, *options(liar)]) as load:
            result = measure(lambda: os.kill(server.pid, signal.SIGUSR2), load, liar)
    return result, logged(log)


def at_interface(rung: Rung, folder: Path, liar: Liar) -> Measured:
    """nm-<datapath>-<liar> at a veth pair, at an address that the kernel has too."""
    interfaces.skip_where_missing(rung)
    log = folder / "lies.jsonl"
    with netns.veth(open_journal()) as wire:
        rights = ["--allow", wire.subnet]
        argv = interfaces.command(rung, liar.name, found, wire, rights, wire.sut.addr)
        with lying(argv, log, liar.seed) as server:
            server.expect("ready", SERVER_S)
            target = f"{wire.sut.addr}:{PORT}"
            words = [program("nm-load"), "--target", target, *options(liar)]
            with Program(interfaces.inside_tg(wire, *words)) as load:
                result = measure(lambda: os.kill(server.pid, signal.SIGUSR2), load)
    return result, logged(log)


def on_virtio_user(rung: Rung, folder: Path, liar: Liar) -> Measured:
    """nm-<datapath>-<liar> on virtio-user, which connects to the generator."""
    if (reason := why_not(program_of(rung, liar.service))) is not None:
        pytest.skip(reason)
    log = folder / "lies.jsonl"
    made = command(rung, liar.name, found, folder / "vhost", RIGHTS)
    with (
        on_vhost_user(folder, liar) as load,
        lying(list(made.argv), log, liar) as server,
    ):
        result = measure(lambda: os.kill(server.pid, signal.SIGUSR2), load, liar)
    return result, logged(log)


def in_a_machine(rung: Rung, folder: Path, liar: Liar) -> Measured:
    """nm-uk-<datapath>-<liar>, in its virtual machine: its memory is part of QEMU's."""
    if os.geteuid() != 0:
        pytest.skip("only root can read the memory of a virtual machine")
    skip_where_missing(rung, liar.service, found)
    path = found(program_of(rung, liar.name))
    made = machine(rung, liar.name, found, folder / "vhost", RIGHTS)
    made = replace(made, memory_bytes=2 * made.memory_bytes)  # held replies need memory
    connecting = [*generator(folder, liar), "--connect"]
    with Program(connecting) as load, Vm(made, Where(), folder / "console") as vm:
        vm.expect("ready", SERVER_S)
        memory = Memory(path, vm.pid, memfd_base(vm.pid))
        result = measure(lambda: memory.lie(liar), load, liar)
        lies = memory.lies()
    return result, lies


def memfd_base(pid: int) -> int:
    """Return where a virtual machine's memory begins in QEMU's memory."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in maps if "/memfd:memory-backend-memfd" in line)
    return int(line.partition("-")[0], 16)


def in_an_image(rung: Rung, folder: Path, liar: Liar) -> Measured:
    """nm-ukp-<datapath>-<liar>, with its tender."""
    if os.geteuid() != 0:
        pytest.skip("only root can read the memory of an image's process")
    image = program_of(rung, liar.name)
    built = sanitized(image, TENDER).programs
    if image not in built:
        pytest.skip(why_not(program_of(rung, liar.service)) or f"{image} is not in this build")
    path = found(image)
    made = command(rung, liar.name, found, folder / "vhost", RIGHTS)
    with on_vhost_user(folder, liar) as load, Program(list(made.argv)) as tender:
        memory = Memory(path, tender.expect("ready", SERVER_S)["pid"])
        result = measure(lambda: memory.lie(liar), load, liar)
        lies = memory.lies()
        print(tender.final(SERVER_S))  # shown if the test fails
    return result, lies


def found(name: str) -> Path:
    """Return the path of a program of the build with sanitizers."""
    return Path(program(name))


class Memory:
    """The settings and counts of a liar in an image, found by the names of its symbols."""

    def __init__(self, image: Path, pid: int, base: int = 0) -> None:
        said = subprocess.run(
            ["nm", "--defined-only", image], capture_output=True, text=True, check=True
        ).stdout
        self._at = {name: base + int(at, 16) for at, _, name in map(str.split, said.splitlines())}
        self._file = Path(f"/proc/{pid}/mem")

    def lie(self, liar: Liar) -> None:
        """Write struct liar_settings: seed and time-out first, then the start of lying."""
        with self._file.open("r+b", buffering=0) as memory:
            for offset, value in ((0, liar.seed), (8, liar.timeout_ms * 1_000_000)):
                memory.seek(self._at["liar_settings"] + offset)
                memory.write(struct.pack("<Q", value))
            memory.seek(self._at["liar_settings"] + 16)
            memory.write(struct.pack("<I", 1))

    def lies(self) -> Lies:
        """Return the counts. Held replies count as dropped: the generator has ended."""
        with self._file.open("rb", buffering=0) as memory:
            memory.seek(self._at["liar_counts"])
            counts = struct.unpack(f"<{len(KINDS)}Q", memory.read(8 * len(KINDS)))
            memory.seek(self._at["liar_nb_held"])
            (held,) = struct.unpack("<I", memory.read(4))
        lies = Counter(dict(zip(KINDS, counts, strict=True)))
        lies["drop"] += held
        return lies


def logged(log: Path) -> Lies:
    return Counter(json.loads(line)["lie"] for line in log.read_text().splitlines())


def generator(folder: Path, liar: Liar) -> list[str]:
    """Return the command line of a generator on vhost-user."""
    words = [program("nm-load-vhost"), "--socket", str(folder / "vhost")]
    words += ["--source", "10.0.0.1", "--target", f"{SERVER}:{PORT}"]
    return [*words, *options(liar)]


@contextmanager
def on_vhost_user(folder: Path, liar: Liar) -> Iterator[Program]:
    """Start a generator, and wait for its socket."""
    with Program(generator(folder, liar)) as load:
        wait_for(folder / "vhost", load)
        yield load


@contextmanager
def lying(command: list[str], log: Path, liar: Liar) -> Iterator[Program]:
    """Run a liar; its log is complete at the end."""
    told = [f"NEARMETAL_LIAR_LOG={log}", f"NEARMETAL_LIAR_SEED={liar.seed}"]
    told += [f"NEARMETAL_LIAR_TIMEOUT_MS={liar.timeout_ms}"]
    with Program(["env", *told, *command]) as server:
        yield server
        print(server.final(SERVER_S))  # shown if the test fails


def options(liar: Liar) -> list[str]:
    """Return the generator's options on any wire."""
    words = ["--window", "256", "--timeout", str(liar.timeout_ms / 1000), "--seed", str(liar.seed)]
    return [*liar.asked, *words, "--warmup", "0", "--time", "0"]


def measure(begin: Callable[[], None], load: Program, liar: Liar) -> Event:
    """Run the generator until it has sent enough requests; the liar begins with the measured time.
    Returns the generator's result."""
    sent = seconds = 0
    while (event := load.event(SAY_S))["event"] != "result":
        if event["event"] == "measuring":
            begin()
        if event["event"] == "second":
            sent, seconds = sent + event["sent"], seconds + 1
        if sent >= REQUESTS and seconds * 1_000 >= TIMEOUTS * liar.timeout_ms:
            os.kill(load.pid, signal.SIGINT)
    load.ends(SERVER_S)
    return event
