"""A NIC that DPDK takes with XDP sockets is given back: at the end, and by `clean` after a kill.

A veth in a namespace is the NIC. A separate program acts on it, because /sys shows the links of the
namespace in which it was mounted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nearmetal.build import programs as build
from nearmetal.machine.journal import Journal
from nearmetal.machine.links import netns
from nearmetal.machine.processes import owner

# Prints the state of the NIC, a JSON line each time: XDP program and addresses.
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from pyroute2 import IPRoute
from nearmetal.machine import journal
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.process import Child, Where
from nearmetal.testbed import data_nic as ports

iface, program, state = sys.argv[1:]

def look(when):
    with IPRoute() as route:
        (link,) = route.get_links(ifname=iface)
        told = {"xdp": bool(link.get("xdp").get("IFLA_XDP_ATTACHED"))}
    told |= {"addresses": ports.addresses(iface), "when": when}
    print(json.dumps(told), flush=True)

def taken():
    made = journal.Journal(Path(state) / "journal", owner.current())
    wanted = ports.Wanted(iface, "10.77.0.1/24", True, False, None, "af_xdp")
    return ports.prepared(made, wanted)

def killed(port):
    eal = ["--no-huge", "--no-shconf", "-m", "64", "--no-telemetry", "-l", "0", *port.eal]
    argv = [program, "--listen", "10.77.0.1:11211", "--allow", "10.77.0.0/24", "--", *eal]
    server = Child(argv, Where())
    server.expect("ready", 30)
    look("served")
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    look("server killed")

with IPRoute() as route:
    index = route.link_lookup(ifname=iface)[0]
    route.addr("add", index=index, address="10.77.0.1", prefixlen=24)
look("before")
with taken() as port:
    killed(port)
look("given back")
if (pid := os.fork()) == 0:
    holding = taken()
    killed(holding.__enter__())
    os._exit(0)
os.waitpid(pid, 0)
look("all killed")
for line in journal.clean(Path(state)):
    print(line, file=sys.stderr)
look("cleaned")
"""


@pytest.mark.rung("host-dpdk")
def test_an_xdp_program_does_not_stay(programs: Callable[[str], Path], tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    if (reason := build.why_not("nm-dpdk-echo")) is not None:
        pytest.skip(reason)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    words = [str(script), "", str(programs("nm-dpdk-echo")), str(tmp_path)]
    with netns.tapped(Journal(tmp_path / "journal-here", owner.current()), here=False) as wire:
        words[1] = wire.sut.iface
        said = netns.run_inside(wire.sut.netns, 'exec "$@"', sys.executable, *words)
    seen = [json.loads(line) for line in said.splitlines()]
    assert [(each["when"], each["xdp"]) for each in seen] == [
        ("before", False),
        ("served", True),
        ("server killed", True),
        ("given back", False),
        ("served", True),
        ("server killed", True),
        ("all killed", True),
        ("cleaned", False),
    ]
    for each in seen:  # the kernel must not answer as well
        assert each["addresses"] == ([] if each["xdp"] else ["10.77.0.1/24"]), each
