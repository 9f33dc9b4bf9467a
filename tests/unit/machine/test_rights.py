"""A process's rights, read from a made-up /proc; and found by trying where /proc is not enough."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nearmetal.machine import rights
from nearmetal.machine.links import steering, tried
from nearmetal.machine.links.steering import Receive
from nearmetal.paths import source_root

ASKING = (
    "from nearmetal.machine.links import tried, xdp; print(tried.pair_why_not(), xdp.why_not())"
)
ALL, NONE = "000001ffffffffff", "0000000000000000"


def proc(root: Path, effective: str, ids: str = "0 0 4294967295") -> Path:
    (root / "self").mkdir(parents=True)
    (root / "self/status").write_text(f"Name:\tx\nCapPrm:\t{ALL}\nCapEff:\t{effective}\n")
    (root / "self/uid_map").write_text(f"{ids}\n")
    return root


def test_effective_rights_count_and_not_the_uid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, bare = proc(tmp_path / "whole", ALL), proc(tmp_path / "bare", NONE)
    raw = proc(tmp_path / "raw", f"{1 << 13:016x}", "0 1000 1")
    assert rights.held("CAP_BPF", whole) and not rights.held("CAP_BPF", bare)
    assert rights.held("CAP_NET_RAW", raw) and not rights.held("CAP_NET_ADMIN", raw)
    assert not rights.held("CAP_NET_RAW", tmp_path)  # no /proc: no right is assumed
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert rights.in_words(whole) == "root"
    assert rights.in_words(bare).startswith("root, without CAP_NET_ADMIN, CAP_NET_RAW")
    assert rights.in_words(raw).startswith("root of a user namespace, without CAP_NET_ADMIN")
    assert rights.lacking("CAP_BPF", "x") == "needs CAP_BPF, which this root lacks: x"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert rights.in_words(bare) == "an ordinary user"
    assert rights.in_words(raw) == "an ordinary user of a user namespace, with CAP_NET_RAW"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to drop rights")
@pytest.mark.parametrize(
    ("how", "says"),
    [
        (("setpriv", "--bounding-set=-all", "--inh-caps=-all"), ("CAP_SYS_ADMIN", "CAP_BPF")),
        (("setpriv", "--bounding-set=-net_admin", "--inh-caps=-all"), ("CAP_NET_ADMIN", "")),
        (("unshare", "--user", "--map-root-user"), ("over this mount namespace", "CAP_BPF")),
    ],
)
def test_trying_names_the_one_right(how: tuple[str, ...], says: tuple[str, str]) -> None:
    if subprocess.run([*how, "true"], check=False).returncode != 0:
        pytest.skip(f"{how[0]} is not allowed here")
    done = subprocess.run(
        [*how, sys.executable, "-c", ASKING],
        env={**os.environ, "PYTHONPATH": str(source_root() / "src")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert all(words in done.stdout for words in says), done.stdout
    assert done.stderr == ""


def test_trying_leaves_nothing() -> None:
    space = Path("/proc/thread-self/ns/net")
    before = space.stat().st_ino
    tried._why_not.__wrapped__("veth")
    assert space.stat().st_ino == before
    assert not list(Path("/sys/class/net").glob("nm-tr*"))


def test_a_thread_that_may_not_be_pinned_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(thread: int, cpus: set[int]) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(steering, "pin", refused)
    assert "CAP_SYS_NICE" in steering._kept_off(1, 0)
    assert Receive(7, "").unpinned == ""
