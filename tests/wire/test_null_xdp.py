"""The null responder of the kernel's links: it returns plain datagrams to its port, and passes all
others on; in the driver, and behind it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nearmetal.build import programs as build
from nearmetal.machine.links.netns import inside
from nearmetal.machine.processes.process import Child, ChildError
from nearmetal.topology import bring_up as wires
from nearmetal.topology.standing import Topology

PORT = 21_300
ANSWER_S = 120.0
# RFC 791, 3.1: three times no operation, then end of options.
OPTIONS = b"\1\1\1\0"

pytestmark = [
    pytest.mark.rung("limit-veth"),
    pytest.mark.skipif(os.geteuid() != 0, reason="veth needs root"),
]


@pytest.fixture(scope="module")
def program(programs: Callable[[str], Path]) -> Path:
    reason = build.why_not("nm-null-xdp")
    if reason is not None:
        pytest.skip(reason)
    return programs("nm-null-xdp")


@pytest.fixture(scope="module")
def wire() -> Iterator[Topology]:
    """One wire for all tests; each test attaches the responder, as only one can be attached."""
    with wires.up("veth") as top:
        yield top


@pytest.fixture(params=["native", "generic"])
def responder(program: Path, wire: Topology, request: pytest.FixtureRequest) -> Iterator[Topology]:
    with Child(command(program, wire, request.param), wire.sut) as child:
        assert child.expect("ready", ANSWER_S) == {"event": "ready", "xdp": request.param}
        yield wire
        assert child.stop() == [{"event": "final"}]


def command(program: Path, wire: Topology, mode: str = "native") -> list[str]:
    argv = [str(program), "--iface", wire.sut_iface, "--port", str(PORT)]
    peer = ["--peer", wire.tg_iface, "--peer-netns", str(wire.tg_netns)]
    return [*argv, *(peer if mode == "native" else ["--generic"])]


def client(wire: Topology, port: int) -> socket.socket:
    with inside(wire.tg.netns):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(ANSWER_S)
    udp.connect((wire.sut_addr, port))
    return udp


@pytest.mark.parametrize("size", [0, 1, 18, 64, 1472])
def test_comes_back_unchanged(responder: Topology, size: int) -> None:
    with client(responder, PORT) as udp:
        for number in range(3):
            sent = bytes((at + number) % 256 for at in range(size))
            udp.send(sent)
            assert udp.recv(2000) == sent


@pytest.mark.parametrize("what", ["other port", "fragments", "options"])
def test_passes_to_the_kernel(responder: Topology, what: str) -> None:
    """No process listens, so the kernel refuses the datagram that it gets, and sends none back."""
    with client(responder, PORT + 1 if what == "other port" else PORT) as udp:
        if what == "options":
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, OPTIONS)
        udp.send(b"x" * (3000 if what == "fragments" else 10))
        with pytest.raises(ConnectionRefusedError):
            udp.recv(4000)


def test_detached_at_the_end(program: Path, wire: Topology) -> None:
    """Another one can be attached after each one that ended or was killed."""
    for grace_s in (3.0, 0.0):
        with Child(command(program, wire), wire.sut) as child:
            child.expect("ready", ANSWER_S)
            child.stop(grace_s)


def test_where_the_driver_knows_no_xdp(program: Path, wire: Topology) -> None:
    """Loopback's driver has no XDP: it runs in the kernel behind it, and is reported as generic."""
    argv = [str(program), "--iface", "lo", "--port", str(PORT)]
    with Child(argv, wire.sut) as child:
        assert child.expect("ready", ANSWER_S) == {"event": "ready", "xdp": "generic"}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--iface", "lo"],
        ["--iface", "lo", "--port", "0"],
        ["--iface", "lo", "--port", "1", "--peer", "lo"],
        ["--iface", "lo", "--port", "1", "--generic", "--peer", "lo", "--peer-netns", "x"],
    ],
)
def test_bad_options_are_one_line(program: Path, words: list[str]) -> None:
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_says_what_is_wrong(program: Path, wire: Topology) -> None:
    argv = [str(program), "--iface", "nowhere", *command(program, wire)[3:]]
    with (
        Child(argv, wire.sut) as child,
        pytest.raises(ChildError, match=r"cannot attach XDP to nowhere: No such device"),
    ):
        child.event(ANSWER_S)
