"""The switch: forwarding for a user, and as the topology pvp, end to end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import tool
from nearmetal.dut import available
from nearmetal.kv.client import Client, NoAnswerError
from nearmetal.machine.links import eal
from nearmetal.spec import rungs
from nearmetal.spec.rungs import Rung

SPEC = """
window = 16
rounds = 1
warmup_s = 0.5
measured_s = 3.0
rungs = ["host-dpdk-pvp"]
[workload]
keys = 1_000
flows = 4
"""

pytestmark = pytest.mark.timeout(tool.RUN_S)


@pytest.fixture
def rung() -> Rung:
    row = rungs.find("host-dpdk-pvp")
    reason = available.why_not(row)
    if reason is not None:
        pytest.skip(reason)
    return row


@pytest.mark.rung("host-dpdk-pvp")
def test_a_server_behind_the_switch_is_asked(
    rung: Rung, programs: Callable[[str], Path], tmp_path: Path
) -> None:
    socket = tmp_path / "vhost"
    with tool.start("switch", "--json", "--socket", socket) as switch:
        try:
            assert switch.stderr is not None
            assert str(socket) in switch.stderr.readline()
            said = switch.stderr.readline()
            found = re.search(r"nm-dpdk-kv (--listen ([0-9.]+):11211 .*) -- .*mac=(\S+)", said)
            assert found is not None, said
            device = f"net_virtio_user0,path={socket},mac={found[3]},{rung.virtio}"
            server = [str(programs("nm-dpdk-kv")), *found[1].split(), "--memory", "16MiB", "--"]
            server += ["--no-huge", "--no-shconf", "-m", "64", "--no-pci"]
            server += [*eal.threads(os.sched_getaffinity(0)), f"--vdev={device}"]
            environment = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)}
            with subprocess.Popen(server, env=environment, stdout=subprocess.PIPE) as kv:
                try:
                    assert kv.stdout is not None and b"ready" in kv.stdout.readline()
                    with Client(found[2], 11211, timeout_s=1) as client:
                        wait_for_answer(client)
                        client.set("greeting", b"hello" * 200)
                        assert client.get("greeting") == b"hello" * 200
                finally:
                    kv.terminate()
            switch.send_signal(signal.SIGTERM)
            out, _ = switch.communicate(timeout=tool.LONG_S)
        finally:
            switch.terminate()
    assert switch.returncode == 0
    final = json.loads(out)
    assert final["nic"]["sent"] == final["vhost"]["received"] >= 3
    assert final["vhost"]["sent"] >= 3
    assert not socket.exists()


def wait_for_answer(client: Client) -> None:
    """Send requests until one is answered: the switch needs a moment after the server is ready."""
    for _ in range(10):
        with contextlib.suppress(NoAnswerError):
            client.version()
            return
    raise AssertionError("the server does not answer through the switch")


@pytest.mark.rung("host-dpdk-pvp")
def test_pvp_end_to_end(rung: Rung, tmp_path: Path) -> None:
    spec = tmp_path / "pvp.toml"
    spec.write_text(SPEC, encoding="utf-8")
    out = tmp_path / "out"
    tool.bench(spec, out)
    rows = json.loads((out / "report.json").read_text(encoding="utf-8"))["rows"]
    assert [row["service"] for row in rows] == ["kv", "echo"]
    for row in rows:
        assert (row["rung"], row["topology"], row["status"]) == (rung.name, "pvp", "ok"), row
        assert row["answered"] > 0 and row["wrong"] == 0
        assert "third poller, on core" in row["placement"]
