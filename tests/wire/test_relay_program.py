"""The relay and the null responder of vhost-user: frames in both directions, and new peers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute

import tool
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns
from nearmetal.machine.links.netns import Tap
from nearmetal.machine.processes.process import Child, ChildError, Where

ANSWER_S = 120.0
MAC_BYTES, SOURCE, DESTINATION, PORTS = 6, 26, 30, 34

pytestmark = pytest.mark.rung("ceiling")

Programs = Callable[[str], Path]


@pytest.fixture(params=["connects", "listens"])
def null_listens(request: pytest.FixtureRequest) -> bool:
    """Whether the null responder's end of the vhost-user socket listens."""
    return bool(request.param == "listens")


@pytest.fixture
def relay(programs: Programs, tmp_path: Path, null_listens: bool) -> Iterator[Child]:
    argv = [str(programs("nm-relay")), "--socket", str(tmp_path / "vhost")]
    argv += ["--unix", str(tmp_path / "frames")]
    with Child([*argv, *(["--connect"] if null_listens else [])], Where()) as child:
        assert child.expect("ready", ANSWER_S) == {"event": "ready"}
        yield child


@pytest.fixture
def null(programs: Programs, tmp_path: Path, null_listens: bool) -> Callable[[], Child]:
    argv = [str(programs("nm-null-vhost")), "--socket", str(tmp_path / "vhost"), "--ring", "256"]
    return lambda: Child([*argv, *(["--listen"] if null_listens else [])], Where())


@pytest.fixture
def frames(tmp_path: Path, relay: Child) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.settimeout(ANSWER_S)
        unix.bind(str(tmp_path / "here"))
        unix.connect(str(tmp_path / "frames"))
        yield unix


def turned(frame: bytes) -> bytes:
    """Return the frame with MACs, IPv4 addresses and UDP ports swapped."""
    macs = frame[MAC_BYTES : 2 * MAC_BYTES] + frame[:MAC_BYTES]
    addresses = frame[DESTINATION:PORTS] + frame[SOURCE:DESTINATION]
    ports = frame[PORTS + 2 : PORTS + 4] + frame[PORTS : PORTS + 2]
    return macs + frame[2 * MAC_BYTES : SOURCE] + addresses + ports + frame[PORTS + 4 :]


def frame_of(size: int, number: int) -> bytes:
    return bytes((at * 3 + number) % 256 for at in range(size))


@pytest.mark.parametrize("size", [42, 60, 72, 1514])
def test_comes_back_turned_round(
    relay: Child, null: Callable[[], Child], frames: socket.socket, size: int
) -> None:
    with null() as server:
        assert server.expect("ready", ANSWER_S)["mac"] == "02:00:00:00:00:02"
        relay.expect("up", ANSWER_S)
        for number in range(600):  # more than twice round a ring of 256
            sent = frame_of(size, number)
            frames.send(sent)
            assert frames.recv(2000) == turned(sent)
        final = server.stop()[-1]
        assert (final["event"], final["received"], final["bad"]) == ("final", 600, 0)


def test_what_is_no_frame_is_dropped(
    relay: Child, null: Callable[[], Child], frames: socket.socket
) -> None:
    with null():
        relay.expect("up", ANSWER_S)
        for sent in (b"", b"x" * 13, b"x" * 1515, b"x" * 9000):
            frames.send(sent)
        frames.send(b"x" * 14)  # a frame, but no server answers it
        frames.send(frame_of(60, 1))
        assert frames.recv(2000) == turned(frame_of(60, 1))
        final = relay.stop()[-1]
        assert (final["tx"], final["rx"], final["dropped"]) == (2, 1, 4)


def test_the_next_server_is_served(
    relay: Child, null: Callable[[], Child], frames: socket.socket
) -> None:
    for number, grace_s in enumerate((3.0, 0.0, 3.0)):  # the second server is killed
        with null() as server:
            relay.expect("up", ANSWER_S)
            frames.send(frame_of(60, number))
            assert frames.recv(2000) == turned(frame_of(60, number))
            server.stop(grace_s)
            relay.expect("down", ANSWER_S)
    assert relay.stop()[-1]["connections"] >= 3


def test_asleep_when_idle(relay: Child, null: Callable[[], Child], frames: socket.socket) -> None:
    with null():
        relay.expect("up", ANSWER_S)
        for number in range(3):
            tool.asleep(relay.pid)
            frames.send(frame_of(60, number))
            assert frames.recv(2000) == turned(frame_of(60, number))


def test_says_what_is_wrong(programs: Programs, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    argv = [
        str(programs("nm-relay")),
        "--socket",
        str(nowhere / "a"),
        "--unix",
        str(tmp_path / "b"),
    ]
    with (
        Child(argv, Where()) as child,
        pytest.raises(ChildError, match=r"cannot listen at .*: No such file or directory"),
    ):
        child.event(ANSWER_S)


# ---- a tap device ----


@pytest.fixture
def tap() -> Iterator[Tap]:
    if os.geteuid() != 0:
        pytest.skip("a tap device needs root")
    with netns.tap(open_journal()) as device:
        yield device


def on_tap(programs: Programs, tmp_path: Path, iface: str) -> Child:
    argv = [str(programs("nm-relay")), "--socket", str(tmp_path / "vhost")]
    return Child([*argv, "--tap", iface], Where())


@pytest.fixture
def raw(tap: Tap) -> Iterator[socket.socket]:
    """A socket with every frame at the kernel's end of the device."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3)) as packets:
        packets.settimeout(ANSWER_S)
        packets.bind((tap.iface, 0))
        yield packets


def received(packets: socket.socket, frame: bytes) -> None:
    """Wait for this frame; skip frames that the kernel sends itself."""
    while packets.recv(2000) != frame:
        pass


def test_a_tap_device_comes_back_turned_round(
    programs: Programs, tmp_path: Path, tap: Tap, raw: socket.socket
) -> None:
    null = [str(programs("nm-null-vhost")), "--socket", str(tmp_path / "vhost"), "--ring", "256"]
    with on_tap(programs, tmp_path, tap.iface) as relay:
        relay.expect("ready", ANSWER_S)
        with Child(null, Where()):
            relay.expect("up", ANSWER_S)
            for number, size in enumerate([42, 60, 1514] * 200):
                sent = frame_of(size, number)
                raw.send(sent)
                received(raw, turned(sent))
            tool.asleep(relay.pid)
            final = relay.stop()[-1]
    assert final["tx"] == final["rx"] >= 600 and final["dropped"] == 0


def test_a_tap_device_that_goes_ends_the_relay(
    programs: Programs, tmp_path: Path, tap: Tap
) -> None:
    with on_tap(programs, tmp_path, tap.iface) as relay:
        relay.expect("ready", ANSWER_S)
        with IPRoute() as route:
            route.link("del", ifname=tap.iface)
        assert relay.event(ANSWER_S)["event"] == "final"
        with pytest.raises(ChildError, match="exit code 1: nm-relay: the device that carried"):
            relay.event(ANSWER_S)


def test_says_what_is_wrong_with_a_tap_device(programs: Programs, tmp_path: Path, tap: Tap) -> None:
    with on_tap(programs, tmp_path, tap.iface) as relay:
        relay.expect("ready", ANSWER_S)
        for name, reason in (
            ("nm-nowhere", "there is no device of that name"),
            ("lo", "it is not a tap device"),
            (tap.iface, "another process uses it"),
        ):
            with (
                on_tap(programs, tmp_path, name) as child,
                pytest.raises(ChildError, match=f"the tap device {name}: {reason}"),
            ):
                child.event(ANSWER_S)
