"""Servers in their own process, mount and network namespaces, as in containers: started, cleaned
and ended in any order, they do not touch one another, and at the end nothing is left.

A mount namespace with its own /run is the host; servers share that /run or have their own.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

import documents
import tool
from nearmetal.build import programs
from nearmetal.machine import hugepage_claims
from nearmetal.machine.memory import hugepages
from nearmetal.machine.processes import lock, owner
from nearmetal.paths import source_root
from nearmetal.spec import rungs
from nearmetal.spec.programs import program_of, programs_beside

ORDERS, ORDERS_LONG = 2, 60
RUNGS = ("ukp-netdev", "host-mmsg")
APART = ("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc")
OWN_RUN = 'mount -t tmpfs tmpfs /run && exec "$@"'
HOST = "mount -t tmpfs tmpfs /run && echo made && read -r end"
STATE = "run/nearmetal"

pytestmark = pytest.mark.timeout(4 * tool.RUN_S)


@dataclass(frozen=True)
class Host:
    """A mount namespace with a /run of its own."""

    pid: int

    @property
    def state(self) -> Path:
        return root_of(self.pid) / STATE

    def started(self, *words: str, apart: bool, own_run: bool = False) -> subprocess.Popen[str]:
        """Start the command, on the host or in its own namespaces."""
        command = ["nsenter", f"--target={self.pid}", "--mount"]
        command += APART if apart else ()
        command += ["sh", "-c", OWN_RUN, "sh"] if own_run else []
        return subprocess.Popen(
            [*command, *tool.NEARMETAL, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": str(source_root() / "src")},
        )

    def clean(self, *, apart: bool, own_run: bool = False) -> str:
        with self.started("clean", apart=apart, own_run=own_run) as process:
            said, _ = process.communicate(timeout=tool.LONG_S)
        assert process.returncode == 0, said
        return said


@dataclass(frozen=True)
class Server:
    """A running server, and everything that it has made."""

    outer: subprocess.Popen[str]
    first: psutil.Process  # first process of its process namespace
    space: int
    parts: tuple[psutil.Process, ...]
    paths: tuple[Path, ...]
    links: tuple[str, ...]

    def is_whole(self) -> None:
        assert all(map(tool.runs, (self.first, *self.parts))), self
        assert all(path.exists() for path in self.paths), self
        there = Path(f"/proc/{self.first.pid}/net/dev").read_text()
        assert all(f"{link}:" in there for link in self.links), (self, there)

    def end(self, number: signal.Signals) -> None:
        self.first.send_signal(number)
        self.outer.communicate(timeout=tool.LONG_S)
        tool.gone(self.first, *self.parts)


@pytest.fixture
def host() -> Iterator[Host]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter"))):
        pytest.skip("needs root, unshare and nsenter: makes namespaces")
    if owner.namespace("pid") != owner._FIRST_SPACE:
        # Owners in ended namespaces are not visible here: only the host's clean undoes their acts.
        pytest.skip("this process namespace is not the machine's first: it cannot be the host")
    command = ["unshare", "--mount", "sh", "-c", HOST]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if said != "made\n":
            pytest.skip(f"no mount namespace can be made here: {said.strip()}")
        yield Host(process.pid)
        process.kill()


@pytest.fixture(scope="module")
def served() -> list[str]:
    """Return those of RUNGS that can be built and started here."""
    found, reasons = [], []
    with tool.untimed():
        for name in RUNGS:
            rung = rungs.find(name)
            wanted = [program_of(rung, "kv"), *programs_beside(rung), "nm-relay"]
            reason = next(filter(None, map(programs.why_not, wanted)), None)
            if reason is None and rung.place == "ukp" and not Path("/dev/net/tun").exists():
                reason = "no /dev/net/tun"
            if reason is None:
                programs.build(wanted)
                found.append(name)
            else:
                reasons.append(f"{name}: {reason}")
    if not found:
        pytest.skip("; ".join(reasons))
    return found


def test_servers_do_not_touch_one_another(host: Host, served: list[str], is_long: bool) -> None:
    before = pages()
    for seed in range(ORDERS_LONG if is_long else ORDERS):
        print(f"order {seed}")  # shown if the test fails
        in_order(random.Random(seed), host, served)
        assert pages() == before, "huge pages are left, or another program changed the pool"


def in_order(chance: random.Random, host: Host, served: list[str]) -> None:
    """Run some servers at once, end and clean in between; then check that nothing is left."""
    with ExitStack() as stack:
        # The first has records, in the host's /run.
        wanted = [(served[0], False)]
        for _ in range(chance.choice([1, 2])):
            wanted.append((chance.choice(served), chance.choice([False, True])))
        begun = [(stack.enter_context(starting(host, *each)), each[1]) for each in wanted]
        living = [up(host, process, own_run) for process, own_run in begun]
        spaces = {server.space for server in living}
        chance.shuffle(living)
        while living:
            apart = len(living) < len(wanted) and chance.choice([False, True])
            host.clean(apart=apart, own_run=apart and chance.choice([False, True]))
            for server in living:
                server.is_whole()
            ended = living.pop()
            ended.end(chance.choice([signal.SIGTERM, signal.SIGKILL]))
            for server in living:
                server.is_whole()
        said = host.clean(apart=False)
    left = [str(path) for path in host.state.rglob("*") if not path.is_dir()]
    if left:
        pytest.fail("\n".join([*left, said]))
    assert not [pid for pid, who in owner.children() if who.space in spaces], said
    with hugepage_claims._notes() as notes:
        claims = [note.name for note in notes.iterdir()] if notes else []
    assert not [claim for claim in claims if any(f":{space}:" in claim for space in spaces)], said


def test_clean_says_what_it_leaves_alone(host: Host, served: list[str]) -> None:
    if served[0] != RUNGS[0]:
        pytest.skip(f"{RUNGS[0]}, which has records, does not run here")
    with starting(host, served[0], own_run=False) as process:
        server = up(host, process, own_run=False)
        said = host.clean(apart=False)
        server.end(signal.SIGTERM)
    shown = documents.shown("docs/sharing.md", "left alone")
    assert documents.shape(shown).search(said), said


@contextmanager
def starting(host: Host, rung: str, own_run: bool) -> Iterator[subprocess.Popen[str]]:
    with host.started("serve", rung, apart=True, own_run=own_run) as process:
        try:
            yield process
        finally:
            process.kill()


def up(host: Host, process: subprocess.Popen[str], own_run: bool) -> Server:
    """Wait until the server runs; return it with everything that it has made."""

    def parts() -> list[psutil.Process]:
        family = tool.descendants(process.pid)
        names = [Path(tool.command_line(each).partition(" ")[0]).name for each in family]
        ours = [part for part, name in zip(family, names, strict=True) if name.startswith("nm-")]
        return ours if {"nm-tender", "nm-mmsg-kv"} & {*names} else []

    found = tool.wait_beside(process, parts, "its server")
    (first,) = psutil.Process(process.pid).children()
    space = owner.namespace("pid", str(first.pid))
    assert space is not None
    root = root_of(first.pid if own_run else host.pid)
    files = list((root / STATE / "journal").glob(f"*:{space}:*/*.json"))
    told = [json.loads(file.read_text().splitlines()[0]) for file in files]
    paths = [root / each["what"].lstrip("/") for each in told if each["kind"] == "path"]
    links = [each["what"] for each in told if each["kind"] == "link"]
    return Server(process, first, space, tuple(found), (*files, *paths), tuple(links))


def root_of(pid: int) -> Path:
    """Return the root of a process's file system."""
    return Path("/proc") / str(pid) / "root"


def pages() -> int:
    """Return the pages in the pool, without those that are claimed."""
    pool = hugepages.pool()
    with hugepage_claims._notes() as notes:
        claims = list(notes.glob("*@hugepages-2048kB")) if notes else []
        words = [claim.read_text().split() for claim in claims]
        claimed = sum(int([word for word in each if word.isdecimal()][-1]) for each in words)
    if pool is None or not os.access(hugepages.pool_file(), os.W_OK):
        return 0  # the pool cannot be raised either
    return pool.total - claimed


HOLDS = """
import subprocess, sys
from nearmetal.machine.processes import lock
with lock.machine_lock():
    sys.exit(subprocess.run(sys.argv[1:]).returncode if sys.argv[1:] else 0)
"""


def test_a_run_is_refused_when_an_invisible_run_has_the_machine(host: Host) -> None:
    """A container, beside a run that is not visible in it. Both are in a time namespace of the
    test, so that they do not use this machine's lock."""
    if not Path("/proc/self/ns/time").exists():
        pytest.skip("this kernel has no time namespaces")
    environment = os.environ | {"PYTHONPATH": str(source_root() / "src"), lock.WAIT: "0"}
    holds = [sys.executable, "-c", HOLDS]
    done = subprocess.run(
        ["nsenter", f"--target={host.pid}", "--mount", *APART, "--time", *holds, *APART, *holds],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "another run has this machine: its process cannot be seen from here" in done.stderr
