"""list, doctor and bench with limited root rights, or on a machine with parts missing.

Each runs in a mount namespace of its own with its own /run, so that it meets neither the machine's
lock nor the records of others. For every row that cannot run, the reason names one right or thing,
and `list` gives the same reason before.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import tool
from nearmetal.build import programs
from nearmetal.machine.processes import surroundings

# Files of the cache belong to root, so they may be read and written; nothing else is allowed.
FILES = "+dac_override,+dac_read_search"
USER = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *(f"--inh-caps={FILES}", f"--ambient-caps={FILES}"),
)
NO_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
READ_ONLY = (
    "for each in /proc/sys /sys; do mount --bind $each $each; mount -o remount,bind,ro $each; done"
)
NO_TUN = "mkdir -p /dev/net; mount -t tmpfs none /dev/net"
# Routes like those of a VPN, and one that covers a network that we would choose.
VPN = """
from pyroute2 import IPRoute
with IPRoute() as route:
    route.link("set", index=1, state="up")
    route.link("add", ifname="vpn", kind="veth", peer={"ifname": "far"})
    index = route.link_lookup(ifname="vpn")[0]
    route.link("set", index=index, state="up")
    route.addr("add", index=index, address="198.18.0.9", prefixlen=15)
    for half in ("0.0.0.0/1", "128.0.0.0/1"):
        route.route("add", dst=half, oif=index)
"""
JUDGE = """
import json, sys
from nearmetal.dut.available import why_not
from nearmetal.spec.rungs import find
print(json.dumps({name: why_not(find(name)) for name in sys.argv[1:]}))
"""

RUNGS = ("host-mmsg", "limit-veth", "ukp-netdev", "ceiling")
FULL = (
    "memcached",
    "host-py",
    "host-dpdk",
    "testpmd",
    "host-dpdk-pvp",
    "guest-sock-tap",
    "uk-netdev",
)


@dataclass(frozen=True)
class Odd:
    """An environment, and the rows that cannot run in it, with words of the reason."""

    before: str = ":"  # shell, in the namespace of mounts
    how: tuple[str, ...] = ()  # prefix of the command
    spaces: tuple[str, ...] = ("--mount",)
    costs: str = ""  # part of limit-veth's reason; "": the row runs
    note: str = ""  # a label of host-mmsg


CASES = {
    "ordinary user": Odd(how=USER, costs="needs CAP_SYS_ADMIN, as root has it"),
    "root without rights": Odd(how=NO_RIGHTS, costs="needs CAP_SYS_ADMIN, which this root lacks"),
    "user namespace": Odd(
        how=("unshare", "--user", "--map-root-user"), costs="this mount namespace"
    ),
    "read-only /proc/sys and /sys": Odd(READ_ONLY, note="IPv6 on: "),
    "no /dev/net/tun": Odd(NO_TUN),
    "one core": Odd(how=("taskset", "-c", str(max(os.sched_getaffinity(0)))), note="shared core: "),
    "routes of a VPN": Odd(
        f"{shlex.quote(sys.executable)} -c {shlex.quote(VPN)}", spaces=("--mount", "--net")
    ),
}

ORDINARY = [CASES[name] for name in ("ordinary user", "root without rights")]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to drop rights"),
    pytest.mark.timeout(tool.RUN_S),
]


def inside(odd: Odd, *argv: str) -> tool.Finished:
    """Run a command in this environment."""
    script = f'set -e; mount -t tmpfs none /run; {odd.before}; exec "$@"'
    command = ["unshare", *odd.spaces, "sh", "-c", script, "sh", *odd.how, *argv]
    given = {k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"}
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=tool.LONG_S, env=surroundings.of_programs(given) | {"COLUMNS": "200"},
    )  # fmt: skip


@pytest.fixture(params=CASES.values(), ids=CASES)
def odd(request: pytest.FixtureRequest) -> Odd:
    found: Odd = request.param
    if (done := inside(found, "true")).returncode != 0:
        pytest.skip(f"this environment cannot be made here: {done.stderr.strip()}")
    return found


@pytest.mark.parametrize(("command", "shows"), [("list", "host-mmsg"), ("doctor", "rights")])
def test_it_is_looked_at_without_a_word_of_error(odd: Odd, command: str, shows: str) -> None:
    done = inside(odd, *tool.NEARMETAL, command)
    assert (done.returncode, done.stderr) == (0, "")
    assert shows in done.stdout


def test_bench_ends_with_a_table_and_a_missing_row_names_one_thing(
    odd: Odd, tmp_path: Path, is_long: bool
) -> None:
    if odd not in ORDINARY and not is_long:
        pytest.skip("only with --full: it takes long")
    wanted = (*RUNGS, *FULL) if is_long else RUNGS
    for folder in tmp_path.parents:  # one more level if tests run in parallel
        folder.chmod(0o755)
        if folder.name.startswith("pytest-of-"):
            break
    tmp_path.chmod(0o777)  # an ordinary user makes the run's folder, too
    programs.build()
    judged = json.loads(inside(odd, sys.executable, "-c", JUDGE, *wanted).stdout)
    out = tmp_path / "run"
    done = inside(odd, *tool.NEARMETAL, *tool.of_bench("smoke", out, "--rungs", ",".join(wanted)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found = tool.rows(out)
    skipped = {
        rung: row["reason"] for (rung, _), row in found.items() if row["status"] == "skipped"
    }
    assert {row["status"] for row in found.values()} <= {"ok", "skipped"}
    assert set(skipped) == {rung for rung, reason in judged.items() if reason is not None}
    for rung, reason in skipped.items():
        assert reason.endswith(judged[rung])
        assert reason.count("CAP_") <= 1
    assert odd.costs in skipped["limit-veth"] if odd.costs else "limit-veth" not in skipped
    labels = found["host-mmsg", "kv"]["labels"]
    assert not odd.note or any(label.startswith(odd.note) for label in labels)
