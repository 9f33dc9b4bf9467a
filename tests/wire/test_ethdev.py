"""The generator on a DPDK port: AF_PACKET on a veth, and a server on sockets at its other end."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nearmetal.machine.journal import open_journal
from nearmetal.machine.links import netns, offloads
from nearmetal.machine.links.netns import Wire
from nearmetal.machine.processes.process import Child, Where

pytestmark = [
    pytest.mark.rung("host-mmsg"),
    pytest.mark.skipif(os.geteuid() != 0, reason="veth needs root"),
]

READY_S = 120.0
LOAD_S = 120.0
SHORT = ["--keys", "2000", "--warmup", "0", "--time", "0.5", "--window", "32"]
PATIENT = ["--timeout", "0.5"]  # for tests without loss, even if the machine stalls
EVERY_FAULT = "loss=0.01,duplicate=0.01,reorder=0.01,corrupt=0.01,delay=0.01:1ms"


@pytest.fixture(scope="module")
def generator(programs: Callable[[str], Path]) -> str:
    try:
        return str(programs("nm-load-ethdev"))
    except AssertionError:
        pytest.skip("nm-load-ethdev is not built: DPDK is missing (packages libdpdk-dev, dpdk)")


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with netns.veth(open_journal()) as pair:
        offloads.tx_checksums_on_send(pair.sut)
        yield pair


def test_echo_over_frames(generator: str, wire: Wire, programs: Callable[[str], Path]) -> None:
    with server(programs("nm-sock-echo"), wire) as address:
        result = load(
            generator, wire, address, "--service", "echo", "--checksums", *SHORT, *PATIENT
        )
    assert result["answered"] == result["sent"] > 0
    assert result["frames"]["rx"] >= result["answered"]
    assert result["frames"]["malformed"] == 0


def test_the_store_over_frames(generator: str, wire: Wire, programs: Callable[[str], Path]) -> None:
    with server(programs("nm-mmsg-kv"), wire) as address:
        result = load(generator, wire, address, "--checksums", *SHORT, *PATIENT)
    assert result["answered"] == result["sent"] > 0
    assert result["wrong"] == result["unmatched"] == 0
    assert result["frames"]["arp"] >= 1
    assert "faults" not in result


def test_faults_harm_nothing_and_add_up(
    generator: str, wire: Wire, programs: Callable[[str], Path]
) -> None:
    with server(programs("nm-mmsg-kv"), wire) as address:
        result = load(generator, wire, address, "--checksums", "--faults", EVERY_FAULT, *SHORT)
    assert result["wrong"] == 0
    assert result["answered"] > 0 and result["lost"] > 0 and result["duplicate"] > 0
    assert result["sent"] == result["answered"] + result["lost"]
    for direction in ("tx", "rx"):
        faults = result["faults"][direction]
        assert faults["held"] == 0
        assert faults["frames"] + faults["duplicated"] - faults["lost"] == faults["passed"]
        for name in ("lost", "duplicated", "reordered", "corrupted", "delayed"):
            assert faults[name] > 0, name
    assert result["faults"]["tx"]["passed"] <= result["frames"]["tx"]


def test_the_kernel_s_half_of_the_ledger_closes(
    generator: str, wire: Wire, programs: Callable[[str], Path]
) -> None:
    """Every frame that was sent is a request, or a kernel counter has it; every reply returned."""
    before = kernel_counters(wire)
    command = [str(programs("nm-mmsg-kv")), "--listen", f"{wire.sut.addr}:0"]
    with Child([*command, "--allow", wire.subnet], Where(netns=wire.sut.netns)) as child:
        address = str(child.expect("ready", READY_S)["listen"])
        result = load(generator, wire, address, "--checksums", "--faults", EVERY_FAULT, *SHORT)
        final = child.stop()[-1]
    spent = kernel_counters(wire)
    spent.subtract(before)
    frames, tx, rx = result["frames"], result["faults"]["tx"], result["faults"]["rx"]

    arp_sent = frames["tx"] - tx["passed"]  # faults exclude ARP
    assert spent["dev rx"] == frames["tx"] and arp_sent >= 1
    # A flipped bit of a MAC address or of the type: not for this host, so IP never gets it.
    unseen = spent["dev rx"] - arp_sent - spent["Ip InReceives"]
    ip_drops = sum(spent[f"Ip {why}"] for why in ("InHdrErrors", "InAddrErrors", "InUnknownProtos"))
    assert spent["Ip InReceives"] == spent["Ip InDelivers"] + ip_drops
    udp = ("InDatagrams", "NoPorts", "InErrors")
    delivered = sum(spent[f"Udp {what}"] for what in udp) + spent["Icmp InMsgs"]
    assert spent["Ip InDelivers"] == delivered
    assert 0 < unseen + ip_drops + spent["Udp InErrors"] <= tx["corrupted"]
    assert spent["Udp InCsumErrors"] == spent["Udp InErrors"]

    assert final["received"] == sum(final["drops"].values()) == spent["Udp InDatagrams"]
    assert final["replies"] == spent["Udp OutDatagrams"]
    assert frames["rx"] == final["replies"] + frames["arp"] + spent["Icmp OutMsgs"]
    # The kernel also sends ARP requests after the generator's end.
    assert frames["rx"] <= spent["dev tx"]
    assert frames["bad"] == 0
    assert rx["frames"] == frames["rx"] - frames["arp"]
    assert result["wrong"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--no-pci", "--no-huge", "-m", "64"], "DPDK sees no port"),
        (["--bogus"], "DPDK does not start"),
        (
            ["--no-pci", "--no-huge", "-m", "64", "--vdev=net_af_packet0,iface=nowhere0"],
            "No such device",
        ),
        ([], "EAL arguments"),
    ],
)
def test_what_dpdk_cannot_do_draws_one_line(
    generator: str, wire: Wire, arguments: list[str], said: str
) -> None:
    command = [generator, "--target", f"{wire.sut.addr}:1", "--source", source(wire)]
    done = subprocess.run(
        [*command, "--", *arguments], capture_output=True, text=True, check=False, timeout=LOAD_S
    )
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1 and said in done.stderr
    assert done.stdout == ""


def source(wire: Wire) -> str:
    """An address that neither kernel has: only the generator answers ARP for it."""
    return str(ipaddress.ip_network(wire.subnet)[9])


def test_frames_have_one_core(generator: str) -> None:
    command = [generator, "--target", "198.18.0.1:1", "--source", "198.18.0.9", "--lcores", "0,1"]
    done = subprocess.run([*command, "--", "--no-pci"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "one queue pair" in done.stderr


def kernel_counters(wire: Wire) -> Counter[str]:
    """Return the counters of the kernel at the server's end: proc(5), net/snmp and net/dev."""
    with netns.inside(wire.sut.netns):
        snmp = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii").splitlines()
        dev = Path("/proc/thread-self/net/dev").read_text(encoding="ascii")
    counters: Counter[str] = Counter()
    for names, values in zip(snmp[::2], snmp[1::2], strict=True):
        kind, *columns = names.split()
        for name, value in zip(columns, values.split()[1:], strict=True):
            counters[f"{kind[:-1]} {name}"] = int(value)
    line = next(line for line in dev.splitlines() if line.strip().startswith(wire.sut.iface))
    fields = line.partition(":")[2].split()
    counters["dev rx"], counters["dev tx"] = int(fields[1]), int(fields[9])
    return counters


@contextmanager
def server(program: Path, wire: Wire) -> Iterator[str]:
    """Start a server at the SUT's end; yield its address."""
    command = [str(program), "--listen", f"{wire.sut.addr}:0", "--allow", wire.subnet]
    with Child(command, Where(netns=wire.sut.netns)) as child:
        yield str(child.expect("ready", READY_S)["listen"])


def load(generator: str, wire: Wire, address: str, *options: str) -> dict[str, Any]:
    """Return the result of a short load."""
    command = [generator, "--target", address, "--source", source(wire), *options, "--"]
    command += ["--no-pci", "--no-huge", "-m", "64"]
    command += [f"--vdev=net_af_packet0,iface={wire.tg.iface}"]
    done = subprocess.run(
        ["nsenter", f"--net={wire.tg.netns}", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=LOAD_S,
    )
    assert done.returncode == 0, done.stderr
    event: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert event["event"] == "result"
    return event
