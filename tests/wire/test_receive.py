"""Where the receive processing of the server's end of a veth runs: in its NAPI thread, as the
placement says, for each edition of the generator, also after a row whose server is an XDP program.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nearmetal.build import programs as build
from nearmetal.machine.processes.process import Child
from nearmetal.topology import bring_up
from nearmetal.topology.wire import Edition
from nearmetal.topology.wires import veth
from nearmetal.trial import busy

pytestmark = [
    pytest.mark.rung("host-mmsg"),
    pytest.mark.skipif(os.geteuid() != 0, reason="veth needs root"),
]

READY_S = 120.0
LOAD_S = 120.0


@pytest.fixture(scope="module")
def wire() -> Iterator[veth.Veth]:
    with bring_up.up("veth") as top:
        assert isinstance(top, veth.Veth)
        if top.napi_pid is None:
            pytest.skip(f"no NAPI thread here: {'; '.join(top.notes)}")
        yield top


def asked(program: Path, edition: Edition, wire: veth.Veth, address: str) -> None:
    """Send a short load."""
    command = ["nsenter", f"--net={wire.tg_netns}", str(program), "--target", address]
    command += ["--service", "echo", "--keys", "1000", "--warmup", "0", "--time", "0.2"]
    done = subprocess.run(
        [*command, *edition.flags, *edition.options(wire)],
        capture_output=True,
        check=False,
        timeout=LOAD_S,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("before", ["", "nm-null-xdp"])
@pytest.mark.parametrize("edition", veth.WIRE.editions, ids=lambda each: each.name)
def test_the_server_s_end_receives_in_its_thread(
    edition: Edition, before: str, wire: veth.Veth, programs: Callable[[str], Path]
) -> None:
    for name in filter(None, (edition.program, before)):
        if (reason := build.why_not(name) or edition.tried(wire)) is not None:
            pytest.skip(reason)
    if before:
        argv = [str(programs(before)), "--iface", wire.sut_iface, "--port", "9"]
        with Child(argv, wire.sut) as responder:
            responder.expect("ready", READY_S)
            responder.stop()
    argv = [str(programs("nm-mmsg-echo")), "--listen", f"{wire.sut_addr}:0", "--allow", wire.subnet]
    with Child(argv, wire.sut) as server:
        address = str(server.expect("ready", READY_S)["listen"])
        assert wire.napi_pid is not None
        slept = busy.switches(wire.napi_pid)[0]
        asked(programs(edition.program), edition, wire, address)
        assert busy.switches(wire.napi_pid)[0] > slept
