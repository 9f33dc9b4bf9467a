"""The datapath dpdk at a veth's end, with requests from the kernel's stack, and its refusals."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tool
from nearmetal.kv.corpus import Udp, quick
from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, offloads
from nearmetal.machine.links.frames import UDP_BYTES_MAX
from nearmetal.machine.links.netns import Wire
from nearmetal.machine.processes.process import Child, Where
from nearmetal.spec import services

pytestmark = [
    pytest.mark.rung("host-dpdk"),
    pytest.mark.skipif(os.geteuid() != 0, reason="veth needs root"),
]

PORT = 11211
READY_S = 120.0
SMALL = ["--no-pci", "--no-huge", "--no-shconf", "-m", "64"]


@pytest.fixture(scope="module")
def program(programs: Callable[[str], Path]) -> Callable[[str], str]:
    def found(service: str) -> str:
        try:
            return str(programs(f"nm-dpdk-{service}"))
        except AssertionError:
            pytest.skip("nm-dpdk-kv is not built: DPDK is missing (packages libdpdk-dev, dpdk)")

    return found


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with netns.veth(open_journal()) as pair:
        offloads.tx_checksums_on_send(pair.tg)
        yield pair


@pytest.mark.parametrize("service", ["kv", "echo"])
def test_the_kernel_asks(service: str, program: Callable[[str], str], wire: Wire) -> None:
    """ARP, then the quick corpus, with the stack's own checksums both ways."""
    with server(program, service, wire) as (child, address):
        with netns.inside(wire.tg.netns):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with udp:
            udp.connect((address, PORT))
            assert quick(services.find(service).corpus, Udp(udp), UDP_BYTES_MAX) is None
        counters = child.stop()[-1]
    drops = counters["drops"]
    assert counters["received"] == sum(drops.values())
    assert drops["arp"] >= 1 and drops["answered"] > 0
    assert drops["udp"] == drops["ip"] == drops["tx"] == 0
    assert counters["busy_cycles"] > 0 and counters["empty_cycles"] > 0


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("0.0.0.0:1", "the IPv4 address that this server is to have"),
        ("127.0.0.1:1", "the IPv4 address that this server is to have"),
        ("224.0.0.1:1", "the IPv4 address that this server is to have"),
        ("10.0.0.2:0", "cannot choose a port"),
        ("[2001:db8::1]:1", "IPv4 only"),
    ],
)
def test_addresses_that_make_no_sense_on_a_wire(
    listen: str, said: str, program: Callable[[str], str]
) -> None:
    command = [program("kv"), "--listen", listen, "--allow", "10.0.0.0/8", "--", *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and said in done.stderr
    assert done.stdout == ""


def test_more_hugepages_than_there_are(program: Callable[[str], str]) -> None:
    command = [program("kv"), "--listen", "10.0.0.2:1", "--allow", "10.0.0.0/8"]
    command += ["--hugepages", "--memory", "1024GiB", "--", *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "fewer 2 MiB pages are free" in done.stderr


def test_sigterm_ends_the_wait_for_a_peer(program: Callable[[str], str], tmp_path: Path) -> None:
    """EAL, as vhost-user's listening side, waits for a peer to connect."""
    socket_path = tmp_path / "vhost"
    command = [program("kv"), "--listen", "10.0.0.2:1", "--allow", "10.0.0.0/8", "--", *SMALL]
    command += [f"--vdev=net_virtio_user0,path={socket_path},server=1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
        try:
            tool.wait_until(socket_path.exists, "a socket that EAL listens at", READY_S)
            waiting.send_signal(signal.SIGTERM)
            assert waiting.wait(READY_S) == 1
            assert waiting.stderr is not None
            assert "stopped before it was ready" in waiting.stderr.read()
        finally:
            waiting.kill()


@contextmanager
def server(program: Callable[[str], str], service: str, wire: Wire) -> Iterator[tuple[Child, str]]:
    """Start a server at the SUT's end, with an address that no kernel has."""
    address = str(ipaddress.ip_network(wire.subnet)[{"kv": 9, "echo": 10}[service]])
    command = [program(service), "--listen", f"{address}:{PORT}"]
    command += ["--allow", wire.subnet, "--admin", wire.subnet, "--", *SMALL]
    command += [f"--vdev=net_af_packet0,iface={wire.sut.iface}"]
    with Child(command, Where(netns=wire.sut.netns)) as child:
        child.expect("ready", READY_S)
        yield child, address
