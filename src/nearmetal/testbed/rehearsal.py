"""Machines made of network namespaces of this one, for `testbed rehearse` and its tests.

Each machine has a control cable to this one, with an SSH server at its end, and a data cable: with
one generator straight to the server, with several all to a bridge. A machine has its own network
namespace, /sys with its links, and /run; the machines share cores, kernel and disk.

    this machine -- control -- [tg1] -- data --+
          |                    [tg2] -- data --+-- [switch of the rig] -- data -- [sut]
          +-------- control ------------------------------------------------------ [sut]

A namespace lives as long as its programs, and these end with this process, so nothing stays after a
kill. A cable is removed with either of its ends.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute, NetNS

from nearmetal.errors import CannotRunError, NearmetalError
from nearmetal.machine.devices import ethtool
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import netns, tried
from nearmetal.machine.links.networks import choosing
from nearmetal.machine.links.nic import Take
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.process import START_S, Child, ChildError, Where
from nearmetal.testbed import sshd
from nearmetal.testbed.spec import BedSpec, Seat

CONTROL, DATA = "control", "eth1"  # interfaces inside a machine; DATA as in docs/testbed.md

# Make a machine: its own /sys and /run, and the accounts that its SSH server needs.
_MACHINE = """set -e
mount -t sysfs sysfs /sys
cd "$1" # it is below /run, and would be hidden
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "$1" /run/sshd
mount --no-canonicalize --bind . "$1"
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/shadow" /etc/shadow
cd /
shift
echo '{"event":"made"}'
read -r go
exec "$@"
"""
_SWITCH = """set -e
echo '{"event":"made"}'
read -r end
"""


@dataclass(frozen=True)
class Rig:
    """Machines that are up."""

    spec: BedSpec
    keys: sshd.Keys
    pids: dict[str, int]  # machine -> process that holds its namespace

    def netns(self, name: str) -> Path:
        """Return a machine's network namespace, for tests."""
        return Path(f"/proc/{self.pids[name]}/ns/net")


@contextmanager
def standing(journal: Journal, generators: int, take: Take | None = None) -> Iterator[Rig]:
    """Bring up a server's machine and some generators' machines, each with its SSH server."""
    if (reason := tried.pair_why_not()) is not None:
        raise CannotRunError(f"testbed rehearse: {reason}")
    names = ["sut", *(f"tg{number}" for number in range(1, generators + 1))]
    folder = owner.state_directory() / owner.label("rig")
    with ExitStack() as stack:
        stack.enter_context(journal.folder(folder))
        keys = sshd.make_keys(folder)
        sshd.make_accounts(keys)
        turn = stack.enter_context(ExitStack())
        networks, data = _networks(turn.enter_context(choosing()), len(names))
        children = {
            name: stack.enter_context(_machine(keys, name, networks[name_no][1]))
            for name_no, name in enumerate(names)
        }
        pids = {name: child.pid for name, child in children.items()}
        for number, name in enumerate(names):
            link = owner.label(name)
            index = stack.enter_context(journal.link(link))
            _control(link, index, pids[name], networks[number])
            _mark(index, journal)
        turn.close()
        if generators == 1:
            _cable(pids["sut"], DATA, pids["tg1"], DATA)
        else:
            switch = stack.enter_context(_held(_SWITCH, [], mounts=False))
            _bridge(switch.pid, pids)
        for name in names:
            children[name].say("go")
        for number, name in enumerate(names):
            _await(children[name], str(networks[number][1]))
        spec = _spec(keys, names, networks, data)
        sut = spec.sut.model_copy(update={"take": take})
        yield Rig(spec.model_copy(update={"sut": sut}), keys, pids)


def _networks(
    free: ipaddress.IPv4Network, count: int
) -> tuple[list[ipaddress.IPv4Network], ipaddress.IPv4Network]:
    """Return a network for each control cable, and one for data, taken from a free network."""
    lower, upper = free.subnets()
    return list(lower.subnets(new_prefix=29))[:count], upper


def _spec(
    keys: sshd.Keys,
    names: list[str],
    networks: list[ipaddress.IPv4Network],
    data: ipaddress.IPv4Network,
) -> BedSpec:
    """Return the machine file's content for these machines, as a user would write it."""
    options = (
        f"UserKnownHostsFile={keys.known_hosts}",
        "StrictHostKeyChecking=yes",
        "GlobalKnownHostsFile=/dev/null",
    )
    seats = [
        Seat(
            host=str(networks[number][1]),
            port=sshd.PORT,
            key=str(keys.client),
            options=options,
            nic=DATA,
            address=f"{data[number + 1]}/{data.prefixlen}",
        )
        for number in range(len(names))
    ]
    return BedSpec(sut=seats[0], tg=tuple(seats[1:]))


@contextmanager
def _machine(keys: sshd.Keys, name: str, address: ipaddress.IPv4Address) -> Iterator[Child]:
    argv = [str(keys.folder), *sshd.argv(keys, name, str(address))]
    with _held(_MACHINE, argv, mounts=True) as child:
        yield child


@contextmanager
def _held(script: str, argv: list[str], *, mounts: bool) -> Iterator[Child]:
    """Start a program in its own namespaces, which end with the program."""
    # With its own time namespace: the machine's lock, which the agent takes, is on that.
    apart = ["--time"] if Path("/proc/self/ns/time").exists() else []
    command = ["unshare", "--net", *apart, *(["--mount"] if mounts else [])]
    with Child([*command, "sh", "-c", script, "sh", *argv], Where(), talks=True) as child:
        try:
            child.expect("made", START_S)
        except ChildError as error:
            raise NearmetalError(f"testbed rehearse: cannot make a machine: {error}") from error
        _quiet(child.pid)
        yield child


def _quiet(pid: int) -> None:
    """Set loopback up, and IPv6 off, so that the kernel sends no packets by itself."""
    with NetNS(f"/proc/{pid}/ns/net", flags=0) as route:
        route.link("set", index=route.link_lookup(ifname="lo")[0], state="up")
    if Path("/proc/sys/net/ipv6").is_dir():
        netns.run_inside(
            Path(f"/proc/{pid}/ns/net"),
            "cd /proc/sys/net/ipv6/conf; echo 1 | tee */disable_ipv6 > /dev/null",
        )


def _mark(index: int, journal: Journal) -> None:
    with IPRoute() as route:
        route.link("set", index=index, ifalias=journal.alias())


def _control(link: str, index: int, pid: int, network: ipaddress.IPv4Network) -> None:
    """Make a cable from here; the machine gets the network's first address, this one the second."""
    with IPRoute() as route:
        peer = {"ifname": CONTROL, "net_ns_pid": pid}
        route.link("add", ifname=link, kind="veth", index=index, peer=peer)
        quiet = Path("/proc/sys/net/ipv6/conf") / link / "disable_ipv6"
        if quiet.exists():
            quiet.write_text("1", encoding="ascii")
        route.addr("add", index=index, address=str(network[2]), prefixlen=network.prefixlen)
        route.link("set", index=index, state="up")
    with NetNS(f"/proc/{pid}/ns/net", flags=0) as route:
        (index,) = route.link_lookup(ifname=CONTROL)
        route.addr("add", index=index, address=str(network[1]), prefixlen=network.prefixlen)
        route.link("set", index=index, state="up")


def _cable(one: int, one_name: str, other: int, other_name: str) -> None:
    """Make a data cable, both ends down and without an address, as on a fresh machine."""
    with NetNS(f"/proc/{one}/ns/net", flags=0) as route:
        peer = {"ifname": other_name, "net_ns_pid": other}
        route.link("add", ifname=one_name, kind="veth", peer=peer)


def _bridge(switch: int, pids: dict[str, int]) -> None:
    """Join all data cables by a bridge in its own namespace."""
    with NetNS(f"/proc/{switch}/ns/net", flags=0) as route:
        route.link("add", ifname="switch", kind="bridge")
        (bridge,) = route.link_lookup(ifname="switch")
        route.link("set", index=bridge, state="up")
    for name, pid in pids.items():
        _cable(switch, name, pid, DATA)
        with NetNS(f"/proc/{switch}/ns/net", flags=0) as route:
            (index,) = route.link_lookup(ifname=name)
            (bridge,) = route.link_lookup(ifname="switch")
            route.link("set", index=index, master=bridge, state="up")
    # Frames from a veth end with TSO bypass the GRO and the NAPI thread of the other end (Linux
    # drivers/net/veth.c, veth_skb_is_eligible_for_gro). TSO needs transmit checksums: switch off.
    with netns.inside(Path(f"/proc/{switch}/ns/net")):
        ethtool.switch("sut", "tx_checksum", on=False)


def _await(child: Child, address: str) -> None:
    """Wait until the machine's SSH server answers."""
    import socket
    import time

    deadline = time.monotonic() + START_S
    while True:
        try:
            with socket.create_connection((address, sshd.PORT), timeout=1) as asked:
                if asked.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if (reason := child.failed()) is not None:
            raise NearmetalError(f"testbed rehearse: {reason}")
        if time.monotonic() > deadline:
            raise NearmetalError(f"testbed rehearse: no SSH server answers at {address}")
        time.sleep(0.05)
