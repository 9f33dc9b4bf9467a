"""An image as a confined process: the rights of its data process, and how tender and image end.

The image is built for tests: a request makes its service do a system call (tests/c/uk/).
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from framed import skip_where_missing

import tool
from nearmetal.machine.links import frame_host
from nearmetal.machine.links.frame_host import Host
from nearmetal.machine.processes.process import Where
from nearmetal.spec import rungs
from nearmetal.spec.programs import program_of

SERVER, PORT = "10.0.0.100", 11211
END_S = 120.0
KICKS, CALL = {5, 6}, 7  # native/uk/lib/control/control.h
UNPRIVILEGED_ID = "65534"
SIGSYS_LINE = (
    "nm-tender: the data process made a system call that its filter forbids, "
    "and was killed (signal 31, SIGSYS)\n"
)
# Size limits: below 96 KB, and little above the sizes that GCC 12 and GCC 14 produce.
IMAGE_BYTES_MAX = {
    ("ukp-netdev", "kv"): 60_000,
    ("ukp-netdev", "echo"): 31_000,
    ("ukp-lwip", "kv"): 80_000,
    ("ukp-lwip", "echo"): 53_000,
}

ALLOWED = ("kick rx", "kick tx", "ppoll 1", "read 7", "none")
FORBIDDEN = {
    "getpid": "getpid",
    "openat": "openat",
    "write 1": "write to stdout",
    "kick 4": "write of 4 bytes to a kick",
    "kick 4G": "write of 4 GiB and 8 bytes to a kick",
    "kick 3": "write to the call",
    "ppoll 2": "ppoll of two",
    "ppoll s": "ppoll with a signal mask",
    "ppoll h": "ppoll with a signal mask at 4 GiB",
    "read 5": "read of a kick",
    "read 4G": "read of 4 GiB and 8 bytes from the call",
    "mmap": "mmap",
    "execve": "execve",
    "x32 39": "getpid by its x32 number",
    "x32 1": "a kick by its x32 number",
}

pytestmark = pytest.mark.rung("ukp-netdev")


@pytest.fixture(scope="module")
def tools() -> Mapping[str, str]:
    """Tender, image and relay of the test build; only the image is built without sanitizers."""
    names = ["nm-tender", "nm-relay", "nm-ukp-forbidden"]
    return {name: found.path for name, found in tool.sanitized(*names).programs.items()}


@dataclass(frozen=True)
class Confined:
    """A tender, its data process, and a host that sends requests."""

    process: subprocess.Popen[str]
    ready: Mapping[str, Any]
    host: Host

    @property
    def data_pid(self) -> int:
        return int(self.ready["pid"])

    def call(self, words: str) -> None:
        """Request a system call; raise HostError if there is no answer."""
        datagram = request(words)
        assert self.host.echo(datagram) == datagram

    def ended(self) -> tuple[int, str, str]:
        """Wait for the end; return the exit code, and the rest of stdout and stderr."""
        out, err = self.process.communicate(timeout=END_S)
        return self.process.returncode, out, err


def request(words: str) -> bytes:
    return f"call {words:<8}".encode()


def tender_command(tools: Mapping[str, str], *own: str, options: tuple[str, ...] = ()) -> list[str]:
    dut = ["--listen", f"{SERVER}:{PORT}", "--allow", "10.0.0.0/8", "--memory", "2MiB", *options]
    return [tools["nm-tender"], *dut, "--", *own]


@contextmanager
def confined(tools: Mapping[str, str], folder: Path, *options: str) -> Iterator[Confined]:
    vhost, unix = folder / "vhost", folder / "frames"
    own = ("--image", tools["nm-ukp-forbidden"], "--socket", str(vhost))
    with (
        frame_host.started([tools["nm-relay"]], vhost, ["--unix", str(unix)], Where()) as wire,
        subprocess.Popen(
            tender_command(tools, *own, options=options),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            ready = json.loads(line_of(process.stdout))
            assert ready["event"] == "ready" and ready["tender_pid"] == process.pid
            wire.expect("up", END_S)
            with Host(unix, SERVER, PORT) as host:
                host.server_mac()
                yield Confined(process, ready, host)
        finally:
            process.kill()


def line_of(stdout: IO[str] | None) -> str:
    assert stdout is not None
    return stdout.readline()


@pytest.fixture
def server(tools: Mapping[str, str], tmp_path: Path) -> Iterator[Confined]:
    with confined(tools, tmp_path) as server:
        yield server


# ---- what the data process may do ----


def test_allowed_calls(server: Confined) -> None:
    for words in ALLOWED * 3:
        server.call(words)
    server.process.terminate()
    code, out, err = server.ended()
    assert (code, err) == (0, "")
    final = json.loads(out.splitlines()[-1])
    assert final["event"] == "final" and final["drops"]["answered"] == 3 * len(ALLOWED)


@pytest.mark.parametrize("words", FORBIDDEN, ids=FORBIDDEN.values())
def test_forbidden_calls(server: Confined, words: str) -> None:
    server.call("none")
    data = os.pidfd_open(server.data_pid)
    server.host.send(server.host.udp(server.host.address("127.0.0.1"), request(words)), "udp")
    assert server.ended() == (1, "", SIGSYS_LINE)
    assert has_ended(data)
    assert server.host.link.receive(0) is None


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_rights(server: Confined) -> None:
    status = status_of(server.data_pid)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and status["Threads"] == "1"
    if os.geteuid() == 0:
        assert status["Uid"].split() == [UNPRIVILEGED_ID] * 4 == status["Gid"].split()
        assert status["Groups"] == ""
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind], 16) == 0, kind


def descriptors(pid: int) -> dict[int, str]:
    return {int(path.name): str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}


def test_descriptors(server: Confined) -> None:
    found = descriptors(server.data_pid)
    assert set(found) == KICKS | {CALL}
    assert set(found.values()) == {"anon_inode:[eventfd]"}


def test_descriptors_of_one_that_polls(tools: Mapping[str, str], tmp_path: Path) -> None:
    with confined(tools, tmp_path, "--poll") as server:
        assert set(descriptors(server.data_pid)) == KICKS
        server.call("kick tx")


def test_memory_is_not_executable(server: Confined) -> None:
    """No page is both writable and executable; mapped files are the image and shared memory."""
    for line in Path(f"/proc/{server.data_pid}/maps").read_text().splitlines():
        rights, name = line.split()[1], " ".join(line.split()[5:])
        assert not ("w" in rights and "x" in rights), line
        assert not name.startswith("/") or name.endswith(("nm-ukp-forbidden", "(deleted)")), line


# ---- how tender and data process end ----


def has_ended(pid_fd: int) -> bool:
    """Wait for the process's end; close the descriptor."""
    with os.fdopen(pid_fd):
        return bool(select.select([pid_fd], [], [], END_S)[0])


def test_killed_together(server: Confined) -> None:
    data = os.pidfd_open(server.data_pid)
    server.process.send_signal(signal.SIGKILL)
    assert has_ended(data)


def test_data_process_killed(server: Confined) -> None:
    os.kill(server.data_pid, signal.SIGKILL)
    code, out, err = server.ended()
    assert (code, out) == (1, "")
    assert err == "nm-tender: the data process was killed (signal 9, SIGKILL)\n"


def test_signals_are_the_tenders(server: Confined) -> None:
    """Ctrl-C reaches both processes; the data process continues until its tender ends it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        os.kill(server.data_pid, number)
    server.call("none")
    server.process.send_signal(signal.SIGUSR1)
    counters = json.loads(line_of(server.process.stdout))
    assert counters["event"] == "counters" and counters["drops"]["answered"] == 1
    server.process.send_signal(signal.SIGINT)
    code, out, err = server.ended()
    assert (code, err) == (0, "")
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["final"]


BAD: dict[str, tuple[int, tuple[str, ...], str]] = {
    "no image there": (1, ("--image", "/nowhere"), "--image /nowhere: No such file"),
    "a folder": (1, ("--image", "/"), "the image cannot be started: Permission denied"),
    "a folder, and a socket": (1, ("--image", "/", "--server"), "the image cannot be started"),
    "no socket there": (1, ("--socket", "/nowhere/x", "--server"), "cannot listen at /nowhere/x"),
    "too long a socket": (2, ("--socket", "/tmp/" + "x" * 108), "at most 107 bytes"),
    "a ring of 100": (2, ("--ring", "100"), "--ring 100: not a power of two"),
    "a ring of 32": (2, ("--ring", "32"), "--ring 32: not a power of two"),
    "a ring of 2048": (2, ("--ring", "2048"), "--ring 2048: not a power of two"),
    "half a MAC": (2, ("--mac", "02:00:00"), "--mac 02:00:00: not a unicast MAC"),
    "a MAC of many": (2, ("--mac", "01:00:00:00:00:01"), "not a unicast MAC"),
    "a MAC with a sign": (2, ("--mac", "02:00:00:00:00:-1"), "not a unicast MAC"),
    "a MAC with a blank": (2, ("--mac", "02:00: 0:00:00:01"), "not a unicast MAC"),
    "a MAC and more": (2, ("--mac", "02:00:00:00:00:01:02"), "not a unicast MAC"),
    "an unknown option": (2, ("--nonsense",), "the options behind -- are --image"),
    "a word too many": (2, ("nonsense",), "a word too many"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(tools: Mapping[str, str], tmp_path: Path, case: str) -> None:
    code, words, sentence = BAD[case]
    own = ["--image", tools["nm-ukp-forbidden"], "--socket", str(tmp_path / "vhost"), *words]
    done = subprocess.run(
        tender_command(tools, *own), capture_output=True, text=True, check=False, timeout=END_S
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("nm-tender: ") and sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "vhost").exists()


def test_image_without_tender(tools: Mapping[str, str]) -> None:
    """Started alone, the image ends with exit code 2 and without output."""
    done = subprocess.run(
        [tools["nm-ukp-forbidden"]], capture_output=True, text=True, check=False, timeout=END_S
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


# ---- the image ----


@pytest.mark.parametrize(("rung", "service"), IMAGE_BYTES_MAX)
def test_image(programs: Callable[[str], Path], rung: str, service: str) -> None:
    """A small static ELF that needs no loader; if the image shrinks, the limit must be lowered."""
    row = rungs.find(rung)
    skip_where_missing(row, service, programs)
    image = programs(program_of(row, service)).read_bytes()
    magic, kind = image[:5], struct.unpack_from("<H", image, 16)[0]
    assert magic == b"\x7fELF\2" and kind == 2  # 64 bits, ET_EXEC
    offset, size, count = (
        *struct.unpack_from("<Q", image, 32),
        *struct.unpack_from("<HH", image, 54),
    )
    for at in range(offset, offset + size * count, size):
        segment, flags = struct.unpack_from("<II", image, at)
        assert segment not in (2, 3), "PT_DYNAMIC and PT_INTERP need a loader"
        assert flags & 3 != 3, "a segment is writable and executable"
    limit = IMAGE_BYTES_MAX[rung, service]
    assert len(image) <= limit <= 96_000
    assert len(image) > 0.8 * limit, "lower the limit"
