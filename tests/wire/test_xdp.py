"""The generator over AF_XDP on a veth: what the server's kernel sees, and what others keep."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyroute2 import NetNS

from nearmetal.build import programs as build
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, offloads, tried, xdp
from nearmetal.machine.links.netns import Wire
from nearmetal.machine.processes.process import Child, ChildError, Where
from nearmetal.topology.wires import veth

pytestmark = [
    pytest.mark.rung("host-mmsg"),
    pytest.mark.skipif(os.geteuid() != 0, reason="veth needs root"),
]

READY_S = 120.0
LOAD_S = 120.0
SHORT = ["--keys", "2000", "--warmup", "0", "--time", "0.5", "--window", "32"]
PATIENT = ["--timeout", "0.5"]  # for tests without loss, even if the machine stalls
EVERY_FAULT = "loss=0.01,duplicate=0.01,reorder=0.01,corrupt=0.01,delay=0.01:1ms"
FLOWS = 16  # from port 20000 on


@pytest.fixture(scope="module")
def generator(programs: Callable[[str], Path]) -> str:
    reason = build.why_not(veth.XDP.program) or xdp.why_not() or tried.xsk_why_not()
    if reason is not None:
        pytest.skip(reason)
    return str(programs(veth.XDP.program))


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with netns.veth(open_journal()) as pair:
        yield pair


@contextmanager
def server(program: Path, wire: Wire) -> Iterator[tuple[str, Child]]:
    """Start a server at the SUT's end; yield its address and the server."""
    command = [str(program), "--listen", f"{wire.sut.addr}:0", "--allow", wire.subnet]
    with Child(command, Where(netns=wire.sut.netns)) as child:
        yield str(child.expect("ready", READY_S)["listen"]), child


def known(wire: Wire) -> list[str]:
    """Options that send from the kernel's own address, to a known MAC address."""
    return ["--iface", wire.tg.iface, "--source", wire.tg.addr, "--target-mac", wire.sut.mac]


def apart(wire: Wire) -> list[str]:
    """Options with an address that no kernel has: only the generator answers ARP for it."""
    return ["--iface", wire.tg.iface, "--source", str(ipaddress.ip_network(wire.subnet)[9])]


def load(program: str, wire: Wire, address: str, *options: str) -> dict[str, Any]:
    """Return the result of a short load, with the line `ready`."""
    done = subprocess.run(
        ["nsenter", f"--net={wire.tg.netns}", program, "--target", address, *SHORT, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=LOAD_S,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    result: dict[str, Any] = json.loads(lines[-1])
    assert result["event"] == "result"
    return result | {"ready": json.loads(lines[0])}


def kernel_counters(wire: Wire) -> Counter[str]:
    """Counters of the kernel at the server's end (proc(5), net/snmp and net/dev)."""
    with netns.inside(wire.sut.netns):
        snmp = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii").splitlines()
        dev = Path("/proc/thread-self/net/dev").read_text(encoding="ascii")
    names, values = (line.split()[1:] for line in snmp if line.startswith("Udp:"))
    counters = Counter(dict(zip(names, map(int, values), strict=True)))
    line = next(line for line in dev.splitlines() if line.strip().startswith(wire.sut.iface))
    fields = line.partition(":")[2].split()
    counters["bytes"], counters["packets"] = int(fields[0]), int(fields[1])
    return counters


@pytest.mark.parametrize("checksums", [[], ["--checksums"]], ids=["none", "real"])
def test_the_store(
    generator: str, wire: Wire, programs: Callable[[str], Path], checksums: list[str]
) -> None:
    before = kernel_counters(wire)
    with server(programs("nm-mmsg-kv"), wire) as (address, child):
        result = load(generator, wire, address, *known(wire), *checksums, *PATIENT)
        final = child.stop()[-1]
    spent = kernel_counters(wire)
    spent.subtract(before)
    assert result["ready"] | {"event": "ready", "xdp": "native", "umem": "copy"} == result["ready"]
    assert result["answered"] == result["sent"] > 0
    assert result["wrong"] == result["unmatched"] == result["duplicate"] == 0
    frames = result["frames"]
    assert (frames["malformed"], frames["bad"], frames["arp"]) == (0, 0, 0)
    # Each frame was one packet, and one request.
    assert frames["tx"] == spent["packets"] == spent["InDatagrams"] == final["received"]
    assert frames["rx"] == final["replies"]
    assert spent["InErrors"] == spent["InCsumErrors"] == spent["NoPorts"] == 0


def test_the_server_gets_the_same_packets_as_from_sockets(
    generator: str, wire: Wire, programs: Callable[[str], Path]
) -> None:
    """One packet a request, of the same length."""
    lengths = set()
    alike = ["--service", "echo", "--get", "1", "--set", "0", *PATIENT]
    for program, options in ((generator, known(wire)), (str(programs("nm-load")), [])):
        with server(programs("nm-sock-echo"), wire) as (address, _):
            before = kernel_counters(wire)
            sent = load(program, wire, address, *options, *alike)["sent"]
            spent = kernel_counters(wire)
        spent.subtract(before)
        assert spent["packets"] == spent["InDatagrams"] == sent > 0
        assert spent["bytes"] % sent == 0
        lengths.add(spent["bytes"] // sent)
    assert len(lengths) == 1


def test_an_address_of_its_own_is_found_by_arp(
    generator: str, wire: Wire, programs: Callable[[str], Path]
) -> None:
    with server(programs("nm-mmsg-kv"), wire) as (address, _):
        result = load(generator, wire, address, *apart(wire), *PATIENT)
    assert result["answered"] == result["sent"] > 0 and result["wrong"] == 0
    assert result["frames"]["arp"] >= 1


def test_faults_harm_nothing_and_add_up(
    generator: str, wire: Wire, programs: Callable[[str], Path]
) -> None:
    """With faults only whole checksums count, so the server's end must compute them."""
    offloads.tx_checksums_on_send(wire.sut)
    words = ["--checksums", "--faults", EVERY_FAULT]
    with server(programs("nm-mmsg-kv"), wire) as (address, _):
        result = load(generator, wire, address, *apart(wire), *words)
    assert result["wrong"] == 0
    assert result["answered"] > 0 and result["lost"] > 0 and result["duplicate"] > 0
    assert result["sent"] == result["answered"] + result["lost"]
    for direction in ("tx", "rx"):
        faults = result["faults"][direction]
        assert faults["held"] == 0
        assert faults["frames"] + faults["duplicated"] - faults["lost"] == faults["passed"]
    assert result["frames"]["bad"] == 0


@pytest.mark.parametrize("options", [["--value-bytes", "1300"], ["--window", "4096"]], ids=str)
def test_long_values_and_a_wide_window(
    generator: str, wire: Wire, programs: Callable[[str], Path], options: list[str]
) -> None:
    """The veth's ring may drop requests of a wide window, which then are lost and never wrong."""
    with server(programs("nm-mmsg-kv"), wire) as (address, _):
        result = load(generator, wire, address, *known(wire), *options)
    assert result["answered"] > 0 and result["wrong"] == 0
    assert result["sent"] == result["answered"] + result["lost"]
    assert result["frames"]["bad"] == 0


# ---- others on the same interface ----


@contextmanager
def endless(generator: str, wire: Wire, address: str) -> Iterator[Child]:
    """A generator that runs until it is stopped."""
    command = [generator, "--target", address, "--service", "echo", *SHORT, *known(wire)]
    with Child([*command, "--time", "0"], Where(netns=wire.tg.netns)) as child:
        while child.event(READY_S)["event"] != "second":
            pass
        yield child


def xdp_of(wire: Wire) -> int | None:
    """Return the number of the XDP program at the generator's end; None: there is none."""
    with NetNS(str(wire.tg.netns), flags=0) as route:
        (link,) = route.get_links(route.link_lookup(ifname=wire.tg.iface)[0])
    number: int | None = link.get_attr("IFLA_XDP").get_attr("IFLA_XDP_PROG_ID")
    return number


def test_other_packets_reach_the_kernel(
    generator: str, wire: Wire, programs: Callable[[str], Path]
) -> None:
    with (
        server(programs("nm-mmsg-echo"), wire) as (address, _),
        endless(generator, wire, address),
        netns.inside(wire.tg.netns),
    ):
        for port in (20_000 - 1, 20_000 + FLOWS, 0):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.settimeout(READY_S)
                udp.bind((wire.tg.addr, port))
                udp.connect((wire.sut.addr, int(address.rpartition(":")[2])))
                udp.send(b"from another program")
                assert udp.recv(100) == b"from another program"


@pytest.mark.parametrize("grace_s", [3.0, 0.0], ids=["stopped", "killed"])
def test_its_program_is_detached_at_the_end(
    generator: str, wire: Wire, programs: Callable[[str], Path], grace_s: float
) -> None:
    with server(programs("nm-mmsg-echo"), wire) as (address, _):
        with endless(generator, wire, address) as child:
            assert xdp_of(wire) is not None
            child.stop(grace_s)
        assert xdp_of(wire) is None
        again = load(generator, wire, address, *known(wire), "--service", "echo")
        assert again["answered"] > 0


@pytest.mark.parametrize("mode", [[], ["--generic"]], ids=["native", "generic"])
def test_another_program_is_never_displaced(
    generator: str, wire: Wire, programs: Callable[[str], Path], mode: list[str]
) -> None:
    """Neither a program of another owner, nor that of a second generator."""
    responder = str(programs("nm-null-xdp"))
    other = [responder, "--iface", wire.tg.iface, "--port", "9", *mode]
    with Child(other, Where(netns=wire.tg.netns)) as child:
        child.expect("ready", READY_S)
        there = xdp_of(wire)
        assert there is not None
        command = [generator, "--target", f"{wire.sut.addr}:9", *known(wire)]
        with (
            Child(command, Where(netns=wire.tg.netns)) as refused,
            pytest.raises(
                ChildError, match="another XDP program is attached, and is left in place"
            ),
        ):
            refused.event(READY_S)
        assert xdp_of(wire) == there
        child.stop()


def test_a_second_generator_is_refused(
    generator: str, wire: Wire, programs: Callable[[str], Path]
) -> None:
    with (
        server(programs("nm-mmsg-echo"), wire) as (address, _),
        endless(generator, wire, address) as first,
    ):
        command = [generator, "--target", address, *known(wire)]
        with (
            Child(command, Where(netns=wire.tg.netns)) as second,
            pytest.raises(ChildError, match="another AF_XDP socket uses queue 0"),
        ):
            second.event(READY_S)
        assert first.event(READY_S)["answered"] > 0


def test_one_may_start_as_soon_as_another_has_ended(
    generator: str, wire: Wire, programs: Callable[[str], Path]
) -> None:
    """The kernel frees a socket's queue some time after the socket was closed."""
    with server(programs("nm-mmsg-echo"), wire) as (address, _):
        for _ in range(8):
            options = ("--service", "echo", "--time", "0.05", *known(wire))
            assert load(generator, wire, address, *options)["answered"] > 0


# ---- options ----


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([], 2, "--iface NAME is missing"),
        (["--iface", "x" * 40], 1, "--iface: no interface has so long a name"),
        (["--iface", "nowhere0"], 1, "--iface nowhere0: No such device"),
        (["--iface", "lo", "--socket", "x"], 2, "nm-load-vhost"),
        (["--iface", "lo", "--lcores", "0,1"], 2, "one queue pair"),
        (["--iface", "lo", "--faults", "loss=1"], 2, "--faults needs --checksums"),
        (["--iface", "lo", "--", "--no-pci"], 2, "takes no arguments"),
    ],
)
def test_bad_options_are_one_line(generator: str, options: list[str], code: int, said: str) -> None:
    command = [generator, "--target", "198.18.0.1:1", "--source", "198.18.0.2", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LOAD_S)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1 and said in done.stderr


def test_without_the_right_it_says_which(generator: str, wire: Wire) -> None:
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", generator]
    command += ["--target", "198.18.0.1:1", *known(wire)]
    done = subprocess.run(
        ["nsenter", f"--net={wire.tg.netns}", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=LOAD_S,
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "CAP_NET_RAW" in done.stderr
