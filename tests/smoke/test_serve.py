"""serve and load as a user starts them: a set, a get, the final counts, a busy port, metrics."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from contextlib import AbstractContextManager

import pytest
from pyroute2 import IPRoute

import tool
from nearmetal.build import fetched, programs
from nearmetal.build.programs import describe_program
from nearmetal.errors import CannotRunError
from nearmetal.kv.client import Client, NoAnswerError
from nearmetal.spec.rungs import RUNGS, find
from tool import Served

OURS = [rung.name for rung in RUNGS if rung.place == "host"]
ON_SOCKETS = [name for name in OURS if not find(name).in_frames]

pytestmark = pytest.mark.timeout(tool.RUN_S)


def serving(rung: str, *words: str) -> AbstractContextManager[Served]:
    """Serve a rung; on sockets, at a free port."""
    listen = ("--listen", "127.0.0.1:0") if rung in ON_SOCKETS else ()
    return tool.serving(rung, *words, *listen)


def ask(served: Served, text: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(10)
        udp.sendto(b"\0\1\0\0\0\1\0\0" + text, (served.host, served.port))
        return udp.recv(2000)[8:]


@pytest.mark.parametrize("rung", [pytest.param(r, marks=pytest.mark.rung(r)) for r in ON_SOCKETS])
def test_a_set_a_get_and_the_final_counts(rung: str) -> None:
    with serving(rung) as served:
        assert ask(served, b"set greeting 0 0 5\r\nhello\r\n") == b"STORED\r\n"
        assert ask(served, b"get greeting\r\n") == b"VALUE greeting 0 5\r\nhello\r\nEND\r\n"
        long_key = b"k" * 251
        assert ask(served, b"get " + long_key + b"\r\n").startswith(b"CLIENT_ERROR")
        final = served.stop()
    assert final["event"] == "final"
    assert final["received"] == 3 == sum(final["drops"].values())
    assert final["replies"] == 3


@pytest.mark.rung("host-dpdk")
def test_a_veth_pair_is_made_for_frames() -> None:
    """Programs on this machine can use it with ordinary sockets. It is removed with the server."""
    why = programs.why_not("nm-dpdk-kv") if os.geteuid() == 0 else "needs root"
    if why is not None:
        pytest.skip(why)
    with serving("host-dpdk", "--memory", "16MiB") as served:
        with Client(served.host, served.port, timeout_s=30) as client:
            client.set("greeting", b"hello" * 200)
            for _ in range(4):
                assert client.append("greeting", b"hello" * 200)
            assert client.get("greeting") == b"hello" * 1000
            assert client.stats()["curr_items"] == "1"
        link = served.link("tg")
        assert link.exists()
        final = served.stop()
    assert final["received"] == sum(final["drops"].values())
    assert final["drops"]["answered"] == 7
    assert final["drops"]["arp"] >= 1
    assert not link.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nic", "nowhere", "--listen", "198.18.255.1:11211"], "no such interface"),
        (["--nic", "nowhere"], "needs --listen"),
        (["--nic", "lo", "--listen", "127.0.0.1:11211"], "answers for it itself"),
        (["--listen", "10.0.0.1:11211"], "veth pair of its own"),
    ],
)
def test_a_wrong_nic_is_one_line(words: list[str], said: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    assert said in refused(*words, rung="host-dpdk")


def test_the_default_route_is_not_taken() -> None:
    with IPRoute() as route:
        indices = [entry.get("oif") for entry in route.get_default_routes()]
        names = [link.get("ifname") for link in route.get_links(*filter(None, indices))]
    if os.geteuid() != 0 or not any(indices):
        pytest.skip("needs root, and a default route")
    words = ["--nic", names[0], "--listen", "198.18.255.1:11211"]
    assert "default route" in refused(*words, rung="host-dpdk")


def test_a_busy_port_is_one_line() -> None:
    with serving("host-sock") as served:
        done = refused("--listen", served.address)
    assert "in use" in done


def test_too_little_memory_is_one_line() -> None:
    assert "memory" in refused("--memory", "10")


def test_a_wider_listen_wants_an_allow_list() -> None:
    assert "--allow" in refused("--listen", "0.0.0.0:0")


def refused(*words: str, rung: str = "host-sock") -> str:
    done = tool.run("serve", rung, *words)
    assert done.returncode in (1, 2), done.stdout
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def test_metrics_count_what_was_asked() -> None:
    where = tool.free_address()
    with serving("host-mmsg", "--metrics", where) as served:
        ask(served, b"set a 0 0 1\r\n1\r\n")
        text = tool.metrics(where, "nearmetal_received_total 1.0")
    assert 'nearmetal_ended_total{reason="answered"} 1.0' in text
    assert "nearmetal_items 1.0" in text


def test_load_drives_it_and_finds_nothing_wrong() -> None:
    with serving("host-mmsg") as served:
        done = tool.run("load", served.address, "--workload", "smoke", "--for", "2s", "--json")
        final = served.stop()
    assert done.returncode == 0, done.stdout + done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    names = [event["event"] for event in events]
    assert names.index("preloaded") < names.index("verified") < names.index("second")
    assert sum(event["answered"] for event in events if event["event"] == "second") > 0
    assert final["set"] >= 1000


def test_it_says_how_to_try_it_and_how_to_end_it() -> None:
    """The printed command works in a shell, and the printed way to end the server works."""
    with tool.start("serve", "host-mmsg", "--listen", "127.0.0.1:0") as process:
        try:
            assert process.stderr is not None
            said = [process.stderr.readline() for _ in range(4)]
            assert re.match(r"nearmetal: host-mmsg on 127\.0\.0\.1:\d+, pid \d+\n", said[0])
            assert said[1] == "nearmetal: sources allowed: 127.0.0.0/8, ::1/128 (--allow)\n"
            pasted = said[2].removeprefix("nearmetal: try it: ")
            tried = subprocess.run(["sh", "-c", pasted], capture_output=True, text=True, timeout=60)
            assert tried.stdout.startswith("VERSION nearmetal-"), said[2] + tried.stderr
            assert said[3] == f"nearmetal: end it: Ctrl-C, or kill {process.pid}\n"
            process.terminate()
            out, err = process.communicate(timeout=tool.LONG_S)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "")
    assert err == (
        "nearmetal: host-mmsg ended: 1 of 1 requests answered; 0 items held, 0 evicted\n"
    )


def test_serve_ends_well_when_its_server_is_ended() -> None:
    with serving("host-mmsg") as served:
        os.kill(served.pid, signal.SIGTERM)
        out, err = served.process.communicate(timeout=tool.LONG_S)
    assert (served.process.returncode, err) == (0, "")
    assert json.loads(out)["event"] == "final"


def test_quiet_says_nothing() -> None:
    where = tool.free_address()
    with tool.start("serve", "host-mmsg", "--quiet", "--listen", where) as process:
        try:
            host, _, port = where.rpartition(":")
            with Client(host, int(port), timeout_s=1) as client:
                tool.wait_beside(process, lambda: _answers(client), "an answer")
            process.terminate()
            assert process.communicate(timeout=tool.LONG_S) == ("", "")
        finally:
            process.kill()
    assert process.returncode == 0


def _answers(client: Client) -> bool:
    try:
        return bool(client.stats())
    except (NoAnswerError, OSError):
        return False


def test_a_low_port_has_its_cure() -> None:
    """A user without the right to the port gets a message; `setpriv` removes the right."""
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    for rung in ("host-py", "host-mmsg"):
        done = subprocess.run(
            [*words, *tool.NEARMETAL, "serve", rung, "--listen", "127.0.0.1:80"],
            capture_output=True,
            text=True,
            timeout=tool.LONG_S,
        )
        if done.returncode == 0 or "Permission" not in done.stderr:
            pytest.skip("any user may bind low ports here (net.ipv4.ip_unprivileged_port_start)")
        assert "give a higher one to --listen" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_defaults_of_both_fit() -> None:
    """The commands of the README, except the port; load runs until it is stopped, after 3 s."""
    with serving("host-mmsg") as served, tool.start("load", served.address) as load:
        try:
            assert load.stdout is not None
            seconds = 0
            while seconds < 5:
                line = load.stdout.readline()
                assert line, load.communicate(timeout=tool.LONG_S)
                seconds += "replies/s" in line
            load.send_signal(signal.SIGINT)
            _, err = load.communicate(timeout=tool.LONG_S)
        finally:
            load.kill()
        final = served.stop()
    assert load.returncode == 0, err
    assert re.fullmatch(r"nearmetal: \d+ right answers, 0 wrong\n", err)
    assert final["evicted"] == 0


def test_load_says_that_the_server_evicted() -> None:
    """No answer is wrong: a store with a limit evicts."""
    with serving("host-mmsg", "--memory", "1MiB") as served:
        done = tool.run("load", served.address, "--for", "1s")
        final = served.stop()
    assert done.returncode == 0, done.stderr
    assert final["evicted"] > 0
    assert "right answers, 0 wrong" in done.stderr
    assert "nearmetal: the server evicted " in done.stderr
    assert "it has 1 MiB and needs about" in done.stderr


def test_memcaslap_is_content_with_us() -> None:
    try:
        path, library_path = fetched.provide("memcaslap")
    except CannotRunError as error:
        pytest.skip(str(error))
    argv = describe_program(path, library_path).argv()
    with serving("host-mmsg", "--memory", "256MiB") as served:
        done = subprocess.run(
            [*argv, "-s", served.address, "-U", "-T", "1", "-c", "16", "-t", "1s", "-v", "1.0"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("packet_disorder", "packet_drop", "udp_timeout", "verify_failed"):
        found = re.search(rf"{name}: (\d+)", done.stdout)
        assert found is None or found.group(1) == "0", done.stdout
    assert re.search(r"cmd_get: [1-9]", done.stdout), done.stdout
