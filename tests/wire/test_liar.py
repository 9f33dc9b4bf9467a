"""The checks can fail: against a service that lies, the generator finds every lie, and no other.

The liar (tests/c/liar/liar.c) sits between serve.c and the store. It starts to lie when the
generator reports that the measured time has begun, and counts its lies. The generator's counts must
be equal. The time-out is longer than in a trial: a stall of 100 ms must not appear as a lie.

The same test runs on the sockets and on vhost-user, where the generator works in the server's own
buffers. A Linux program gets a signal, and writes a log. An image can do neither: it is controlled,
and its counts are read, in its memory (tests/c/liar/liar_image.c).
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
from dataclasses import replace
from pathlib import Path

import pytest
from framed import (
    PORT,
    SERVER,
    command,
    machine,
    skip_where_missing,
    wait_for,
)
from targets import LIARS

from nearmetal.build.programs import why_not
from nearmetal.machine.processes.process import Event, Where
from nearmetal.machine.vm.vm import Vm
from nearmetal.spec import rungs
from nearmetal.spec.programs import TENDER, program_of
from nearmetal.spec.rungs import Rung
from tool import Program, sanitized
from tool import sanitized_path as program

TIMEOUT_MS = 400
REQUESTS = 100_000
LAST = 2  # late or doubled replies that are still on the wire at the end
SECONDS = 2  # a delayed reply is sent 1.2 s later (liar.c)
KEYS = 50_000
SERVER_S = 120.0
SAY_S = 120.0  # between two lines: a preload, or a second
RIGHTS = ["--allow", "10.0.0.0/8"]

KINDS = ("none", "flip", "drop", "double", "delay", "ignore", "stale")  # enum lie, liar.h

Lies = Counter[str]
Measured = tuple[Event, Lies]


def measured(rung: Rung, folder: Path, seed: int) -> Measured:
    """Load a rung whose service lies; return the result and the lies."""
    if rung.place == "ukp":
        return in_an_image(rung, folder, seed)
    if rung.place == "uk":
        return in_a_machine(rung, folder, seed)
    return on_virtio_user(rung, folder, seed) if rung.in_frames else on_sockets(rung, folder, seed)


def on_sockets(rung: Rung, folder: Path, seed: int, form: tuple[str, ...] = ()) -> Measured:
    """nm-<datapath>-liar on loopback; joined replies must be split correctly. form: options for
    keys and values."""
    log = folder / "lies.jsonl"
    words = [program(liar_of(rung)), "--listen", "127.0.0.1:0", "--memory", "64MiB"]
    with liar([*words, *rung.options()], log, seed) as server:
        address = server.expect("ready", SERVER_S)["listen"]
        with Program([program("nm-load"), "--target", address, *options(seed), *form]) as load:
            result = measure(lambda: os.kill(server.pid, signal.SIGUSR2), load)
    return result, logged(log)


def on_virtio_user(rung: Rung, folder: Path, seed: int) -> Measured:
    """nm-<datapath>-liar on virtio-user, which connects to the generator."""
    if (reason := why_not(program_of(rung, "kv"))) is not None:
        pytest.skip(reason)
    log = folder / "lies.jsonl"
    made = command(rung, "liar", found, folder / "vhost", RIGHTS)
    with on_vhost_user(folder, seed) as load, liar(list(made.argv), log, seed) as server:
        result = measure(lambda: os.kill(server.pid, signal.SIGUSR2), load)
    return result, logged(log)


def in_a_machine(rung: Rung, folder: Path, seed: int) -> Measured:
    """nm-uk-<datapath>-liar, in its virtual machine: its memory is part of QEMU's."""
    if os.geteuid() != 0:
        pytest.skip("only root can read the memory of a virtual machine")
    skip_where_missing(rung, "kv", found)
    path = found(liar_of(rung))
    made = machine(rung, "liar", found, folder / "vhost", RIGHTS)
    made = replace(made, memory_bytes=2 * made.memory_bytes)  # held replies need memory
    connecting = [*generator(folder, seed), "--connect"]
    with Program(connecting) as load, Vm(made, Where(), folder / "console") as vm:
        vm.expect("ready", SERVER_S)
        memory = Memory(path, vm.pid, memfd_base(vm.pid))
        result = measure(lambda: memory.lie(seed), load)
        lies = memory.lies()
    return result, lies


def memfd_base(pid: int) -> int:
    """Return where a virtual machine's memory begins in QEMU's memory."""
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in maps if "/memfd:memory-backend-memfd" in line)
    return int(line.partition("-")[0], 16)


def in_an_image(rung: Rung, folder: Path, seed: int) -> Measured:
    """nm-ukp-<datapath>-liar, with its tender."""
    if os.geteuid() != 0:
        pytest.skip("only root can read the memory of an image's process")
    image = liar_of(rung)
    built = sanitized(image, TENDER).programs
    if image not in built:
        pytest.skip(why_not(program_of(rung, "kv")) or f"{image} is not in this build")
    path = found(image)
    made = command(rung, "liar", found, folder / "vhost", RIGHTS)
    with on_vhost_user(folder, seed) as load, Program(list(made.argv)) as tender:
        memory = Memory(path, tender.expect("ready", SERVER_S)["pid"])
        result = measure(lambda: memory.lie(seed), load)
        lies = memory.lies()
        print(tender.final(SERVER_S))  # shown if the test fails
    return result, lies


def found(name: str) -> Path:
    """Return the path of a program of the build with sanitizers."""
    return Path(program(name))


def liar_of(rung: Rung) -> str:
    """Return the name of a rung's program with a service that lies."""
    return program_of(rung, "liar")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "rung", [pytest.param(name, id=name, marks=pytest.mark.rung(name)) for name in LIARS]
)
def test_the_generator_finds_exactly_the_lies(rung: str, seed: int, tmp_path: Path) -> None:
    exactly_the_lies(*measured(rungs.find(rung), tmp_path, seed))


def test_short_keys_hide_no_lie(tmp_path: Path) -> None:
    form = ("--key-bytes", "8", "--value-bytes", "16")
    exactly_the_lies(*on_sockets(rungs.find("host-mmsg"), tmp_path, 3, form))


def test_the_shortest_values_hide_no_lie(tmp_path: Path) -> None:
    """The workload paper's value size. A version with a flipped bit may look like an old one."""
    form = ("--key-bytes", "8", "--value-bytes", "8", "--get", "1", "--set", "0", "--miss", "0")
    form = (*form, "--uniform", "--flows", "1")
    result, lies = on_sockets(rungs.find("host-mmsg"), tmp_path, 4, form)
    assert min(lies[kind] for kind in ("flip", "drop", "double", "delay")) > 0
    assert lies["stale"] == lies["ignore"] == 0
    assert result["wrong"] == lies["flip"] and result["unexpected_miss"] == 0
    assert result["lost"] == lies["drop"] + lies["delay"]
    assert result["sent"] == result["gets"] == sum(map(result.get, ("answered", "wrong", "lost")))


def exactly_the_lies(result: Event, lies: Lies) -> None:
    print({name: value for name, value in result.items() if name != "latency"}, lies)

    for kind in ("flip", "drop", "double", "delay", "ignore", "stale"):
        assert lies[kind] > 0, f"the liar told no lie of the kind {kind}: {lies}"
    assert result["sent"] >= REQUESTS
    assert result["sent"] == result["answered"] + result["wrong"] + result["lost"]
    assert result["wrong"] - result["stale"] == lies["flip"]
    assert result["stale"] == lies["stale"]
    assert result["lost"] == lies["drop"] + lies["delay"]
    # The generator can end before it has seen the last ones.
    assert lies["delay"] - LAST <= result["late"] <= lies["delay"]
    assert lies["double"] - LAST <= result["duplicate"] <= lies["double"]
    assert result["unexpected_miss"] == 0
    assert result["unmatched"] == 0


class Memory:
    """The settings and counts of a liar in an image, found by the names of its symbols."""

    def __init__(self, image: Path, pid: int, base: int = 0) -> None:
        said = subprocess.run(["nm", image], capture_output=True, text=True, check=True).stdout
        self._at = {name: base + int(at, 16) for at, _, name in map(str.split, said.splitlines())}
        self._file = Path(f"/proc/{pid}/mem")

    def lie(self, seed: int) -> None:
        """Write struct liar_settings: seed and time-out first, then the start of lying."""
        with self._file.open("r+b", buffering=0) as memory:
            for offset, value in ((0, seed), (8, TIMEOUT_MS * 1_000_000)):
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


def generator(folder: Path, seed: int) -> list[str]:
    """Return the command line of a generator on vhost-user."""
    words = [program("nm-load-vhost"), "--socket", str(folder / "vhost")]
    words += ["--source", "10.0.0.1", "--target", f"{SERVER}:{PORT}"]
    return [*words, *options(seed)]


@contextmanager
def on_vhost_user(folder: Path, seed: int) -> Iterator[Program]:
    """Start a generator, and wait for its socket."""
    with Program(generator(folder, seed)) as load:
        wait_for(folder / "vhost", load)
        yield load


@contextmanager
def liar(command: list[str], log: Path, seed: int) -> Iterator[Program]:
    """Run a liar; its log is complete at the end."""
    told = [f"NEARMETAL_LIAR_LOG={log}", f"NEARMETAL_LIAR_SEED={seed}"]
    told += [f"NEARMETAL_LIAR_TIMEOUT_MS={TIMEOUT_MS}"]
    with Program(["env", *told, *command]) as server:
        yield server
        print(server.final(SERVER_S))  # shown if the test fails


def options(seed: int) -> list[str]:
    """Return the generator's options that are the same on any wire."""
    words = ["--keys", str(KEYS), "--get", "0.75", "--set", "0.2", "--miss", "0.05"]
    words += ["--window", "256", "--timeout", str(TIMEOUT_MS / 1000), "--no-overlap"]
    return [*words, "--seed", str(seed), "--warmup", "0", "--time", "0"]


def measure(begin: Callable[[], None], load: Program) -> Event:
    """Run the generator until it has sent enough requests; the liar begins with the measured time.
    Returns the generator's result."""
    sent = seconds = 0
    while (event := load.event(SAY_S))["event"] != "result":
        if event["event"] == "measuring":
            begin()
        if event["event"] == "second":
            sent, seconds = sent + event["sent"], seconds + 1
        if sent >= REQUESTS and seconds >= SECONDS:
            os.kill(load.pid, signal.SIGINT)
    load.ends(SERVER_S)
    return event
