"""Servers of frames at an interface whose kernel has the address: what each of the two answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import interfaces
import pytest
from targets import AT_INTERFACES

import tool
from duts import PORT
from nearmetal.build import programs as build
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, offloads
from nearmetal.machine.links.netns import Wire
from nearmetal.spec import rungs
from nearmetal.spec.rungs import Rung
from nearmetal.topology.wires import veth

END_S = 120.0
QUESTION = b"\0\1\0\0\0\1\0\0version\r\n"
EVERY_FAULT = "loss=0.01,duplicate=0.01,reorder=0.01,corrupt=0.01,delay=0.01:1ms"
LOAD = ["--keys", "2000", "--warmup", "0", "--window", "32", "--timeout", "0.5"]

Programs = Callable[[str], Path]
pytestmark = pytest.mark.xdist_group("polls")


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.rung(name)) for name in AT_INTERFACES],
)
def rung(request: pytest.FixtureRequest) -> Rung:
    found = rungs.find(request.param)
    interfaces.skip_where_missing(found)
    return found


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with netns.veth(open_journal()) as pair:
        yield pair


@contextmanager
def server(rung: Rung, service: str, programs: Programs, wire: Wire) -> Iterator[tool.Program]:
    rights = ["--allow", wire.subnet]
    argv = interfaces.command(rung, service, programs, wire, rights, wire.sut.addr)
    with tool.Program(argv) as program:
        program.expect("ready", END_S)
        yield program


def asked(wire: Wire, port: int = PORT) -> bytes:
    """Ask from the other end's kernel; ConnectionRefusedError: no program has the port."""
    with netns.inside(wire.tg.netns):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with udp:
        udp.settimeout(END_S)
        udp.connect((wire.sut.addr, port))
        udp.send(QUESTION)
        return udp.recv(2048)


def is_free(wire: Wire) -> bool:
    """Whether the kernel says that no program has the port."""
    try:
        asked(wire)
    except ConnectionRefusedError:
        return True
    return False


def test_the_kernel_answers_all_but_the_port(rung: Rung, wire: Wire, programs: Programs) -> None:
    assert is_free(wire)
    with server(rung, "kv", programs, wire) as program:
        assert asked(wire).startswith(QUESTION[:8] + b"VERSION ")
        with pytest.raises(ConnectionRefusedError):
            asked(wire, PORT + 1)
        final = program.final(END_S)
    assert (final["received"], final["drops"]["answered"], final["replies"]) == (1, 1, 1)
    assert final["rx_errors"] == final["tx_errors"] == 0
    assert is_free(wire)


def test_all_is_given_back_after_a_kill(rung: Rung, wire: Wire, programs: Programs) -> None:
    for _ in range(3):
        with server(rung, "echo", programs, wire) as program:
            assert asked(wire) == QUESTION
            os.kill(program.pid, signal.SIGKILL)
            assert program.wait(END_S)
        tool.wait_until(lambda: is_free(wire), "the kernel's port", END_S)


def test_no_right_is_kept(rung: Rung, wire: Wire, programs: Programs) -> None:
    with server(rung, "echo", programs, wire) as program:
        lines = Path(f"/proc/{program.pid}/status").read_text(encoding="ascii").splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert [int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Amb")] == [0] * 4
    assert status["NoNewPrivs"] == "1"


def refused(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=END_S)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    return done.stderr


def test_a_second_server_is_refused(rung: Rung, wire: Wire, programs: Programs) -> None:
    rights = ["--allow", wire.subnet]
    with server(rung, "echo", programs, wire):
        again = interfaces.command(rung, "echo", programs, wire, rights, wire.sut.addr)
        assert "cannot hold the UDP port; stop the other server" in refused(again)
        assert asked(wire) == QUESTION


@pytest.mark.parametrize(
    ("iface", "said"),
    [
        ("nowhere0", "interface nowhere0: No such device"),
        ("lo", "interface lo: it has no Ethernet frames"),
        ("x" * 16, "no interface has so long a name"),
    ],
)
def test_a_wrong_interface_is_one_line(
    rung: Rung, wire: Wire, programs: Programs, iface: str, said: str
) -> None:
    rights = ["--allow", wire.subnet]
    command = interfaces.command(rung, "echo", programs, wire, rights, wire.sut.addr)
    assert said in refused([*command[:-1], iface])


def test_without_the_right_it_says_which(rung: Rung, wire: Wire, programs: Programs) -> None:
    rights = ["--allow", wire.subnet]
    enter, *argv = interfaces.command(rung, "echo", programs, wire, rights, wire.sut.addr)
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    assert "CAP_NET_RAW" in refused([enter, argv[0], *drop, *argv[1:]])


def test_every_key_is_stored_and_read(rung: Rung, wire: Wire, programs: Programs) -> None:
    """From the kernel's sockets, whose checksums are left to the device; joined ones are cut."""
    assert offloads.uncut(wire.tg) == ""
    with server(rung, "kv", programs, wire):
        target = ["--target", f"{wire.sut.addr}:{PORT}", *LOAD, "--time", "0.5"]
        for more in ([], ["--segment"]):
            result = load(interfaces.inside_tg(wire, str(programs("nm-load")), *target, *more))
            assert result["answered"] == result["sent"] > 0 and result["wrong"] == 0


def test_faults_harm_nothing(rung: Rung, wire: Wire, programs: Programs) -> None:
    if (reason := build.why_not(veth.XDP.program)) is not None:
        pytest.skip(reason)
    offloads.tx_checksums_on_send(wire.sut)
    words = ["--iface", wire.tg.iface, "--source", wire.tg.addr, "--target-mac", wire.sut.mac]
    words += ["--target", f"{wire.sut.addr}:{PORT}", "--checksums", "--faults", EVERY_FAULT]
    with server(rung, "kv", programs, wire) as program:
        generator = str(programs(veth.XDP.program))
        result = load(interfaces.inside_tg(wire, generator, *words, *LOAD, "--time", "1"))
        final = program.final(END_S)
    assert result["wrong"] == result["stale"] == result["unexpected_miss"] == 0
    assert result["answered"] > 0 and result["lost"] > 0 and result["duplicate"] > 0
    assert result["sent"] == result["answered"] + result["lost"]
    assert final["drops"]["udp"] > 0
    assert final["received"] == sum(final["drops"].values())
    assert final["replies"] == final["drops"]["answered"]


def load(command: list[str]) -> dict[str, int]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=END_S)
    assert done.returncode == 0, done.stderr
    result: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("mode", [[], ["--generic"]], ids=["native", "generic"])
def test_another_xdp_program_is_not_displaced(
    wire: Wire, programs: Programs, mode: list[str]
) -> None:
    for rung in map(rungs.find, AT_INTERFACES):
        if rung.uses is None or "af_xdp" not in rung.uses.needs:
            continue
        interfaces.skip_where_missing(rung)
        other = [str(programs("nm-null-xdp")), "--iface", wire.sut.iface, "--port", "9", *mode]
        with tool.Program(["nsenter", f"--net={wire.sut.netns}", *other]) as program:
            program.expect("ready", END_S)
            rights = ["--allow", wire.subnet]
            command = interfaces.command(rung, "echo", programs, wire, rights, wire.sut.addr)
            assert "another XDP program is attached, and is left in place" in refused(command)
            assert program.running()
