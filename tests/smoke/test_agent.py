"""An agent in its own network namespace: its changes to a NIC, and its end with its lease."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyroute2 import NetNS

import tool
from nearmetal.machine.memory import hugepages
from nearmetal.testbed.lease import LEASE_S

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces"),
    pytest.mark.timeout(tool.RUN_S),
]

ADDRESS = "10.77.0.1/24"
SLACK_S = 60.0  # it undoes within seconds, unless the machine is loaded
# A /sys with the links of the namespace, and its own /run, as on a machine of the rehearsal.
AGENT = 'mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run; exec "$@"'
UP, PROMISC = 0x1, 0x100


class Talk:
    """An agent on a pipe."""

    def __init__(self, netns: str, *before: str) -> None:
        tool.wait_for_machine()  # the agent has its own /run, but not its own machine
        command = ["nsenter", f"--net={netns}", "unshare", "--mount", "sh", "-c", AGENT, "sh"]
        self.process = subprocess.Popen(
            [*command, *before, *tool.NEARMETAL, "agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.asked = 0

    def ask(self, operation: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.asked += 1
        request = {"id": self.asked, "op": operation, **arguments}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.asked:
                return answer
        raise AssertionError("the agent ended")


@pytest.fixture
def netns() -> Iterator[str]:
    """A namespace with a link `data`, which is down and has no address."""
    with subprocess.Popen(["unshare", "--net", "sleep", "1000"]) as holder:
        path = f"/proc/{holder.pid}/ns/net"
        try:
            here = Path("/proc/self/ns/net").readlink()
            tool.wait_until(lambda: Path(path).readlink() != here, "a namespace of its own")
            with NetNS(path, flags=0) as route:
                route.link("add", ifname="data", kind="veth", peer={"ifname": "far"})
                far = route.link_lookup(ifname="far")[0]
                route.link("set", index=far, state="up")
            yield path
        finally:
            holder.kill()


def state(netns: str) -> tuple[list[str], int]:
    """Addresses and flags of the link."""
    with NetNS(netns, flags=0) as route:
        index = route.link_lookup(ifname="data")[0]
        found = [f"{a.get('address')}/{a['prefixlen']}" for a in route.get_addr(index=index)]
        (link,) = route.get_links(index)
        return [each for each in found if ":" not in each], link["flags"] & (UP | PROMISC)


def port(**changed: Any) -> dict[str, Any]:
    wanted = {"nic": "data", "address": ADDRESS, "frames": False, "checksums": True}
    return wanted | {"receive_cpu": None} | changed


def test_a_nic_is_given_back_and_children_end_without_a_controller(netns: str) -> None:
    before = state(netns)
    assert before == ([], 0)
    agent = Talk(netns)
    try:
        assert "sut_cpu" in agent.ask("hello")["ok"]
        assert "no such interface" in agent.ask("port", **port(nic="none"))["error"]
        assert "data" in agent.ask("port", **port(nic="none"))["error"]
        assert agent.ask("port", **port())["ok"]["driver"] == "veth"
        assert agent.ask("carrier", nic="data")["ok"] is None
        assert state(netns) == ([ADDRESS], UP)
        heard = time.monotonic()  # at or after the last request
        pid = agent.ask("start", argv=["sleep", "1000"], cpu=None)["ok"]["pid"]
        child = psutil.Process(pid)
        agent.process.wait(LEASE_S + SLACK_S)
        assert time.monotonic() - heard >= LEASE_S
        assert not tool.runs(child)
        assert state(netns) == before
    finally:
        agent.process.kill()
        agent.process.communicate()


@pytest.mark.skipif(
    not os.access(hugepages.pool_file(), os.W_OK), reason="no write access to a pool of huge pages"
)
def test_what_a_spec_asks_of_the_machine_is_set_and_put_back(netns: str) -> None:
    agent = Talk(netns)
    before = pages()
    try:
        wanted = {"hugepages_2mib": 2, "governor": "performance"}
        applied = agent.ask("tune", wanted=wanted)["ok"]
        (pool,) = (each for each in applied if each["asked"] == "2")
        if pool["reason"]:
            pytest.skip(pool["reason"])
        tool.wait_until(lambda: pages() == before + 2, "two pages more")
        assert any(each["asked"] == "performance" for each in applied)  # set, or why not
        assert agent.process.stdin is not None
        agent.process.stdin.close()
        agent.process.wait(SLACK_S)
        tool.wait_until(lambda: pages() == before, "as many pages as before")
    finally:
        agent.process.kill()
        agent.process.wait()


def test_root_without_its_rights_is_told_which(netns: str) -> None:
    agent = Talk(netns, "setpriv", "--bounding-set=-net_admin")
    try:
        assert "sut_cpu" in agent.ask("hello")["ok"]
        assert "CAP_NET_ADMIN" in agent.ask("port", **port())["error"]
    finally:
        agent.process.kill()
        agent.process.communicate()


def pages() -> int:
    pool = hugepages.pool()
    assert pool is not None
    return pool.total


def test_the_end_of_the_connection_is_enough(netns: str) -> None:
    agent = Talk(netns)
    try:
        assert agent.ask("port", **port(frames=True))["ok"]["driver"] == "veth"
        assert state(netns) == ([], UP)  # frames: the kernel has no address
        assert "Error" in agent.ask("clock", wrong=1)["error"]
        assert isinstance(agent.ask("clock")["ok"], int)
        assert agent.process.stdin is not None
        agent.process.stdin.close()
        agent.process.wait(SLACK_S)
        assert state(netns) == ([], 0)
    finally:
        agent.process.kill()
        agent.process.wait()
