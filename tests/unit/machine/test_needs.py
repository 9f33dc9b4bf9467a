"""Needs of datapaths: words for those that are missing here, and the command for each."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from pathlib import Path

import pytest

from nearmetal.machine import needs, rights
from nearmetal.machine.links import tried, xdp


@pytest.mark.parametrize(
    ("number", "setting", "said"),
    [
        (errno.EINVAL, "0", "io_uring needs Linux 6.1 or later"),
        (errno.EPERM, "2", "io_uring is switched off: sudo sysctl kernel.io_uring_disabled=0"),
        (errno.EPERM, "0", "io_uring is refused here, by a sandbox"),
        (errno.ENOSYS, "0", "no io_uring in this kernel (Function not implemented)"),
    ],
)
def test_io_uring_is_refused_in_one_line(
    number: int, setting: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "disabled").write_text(setting + "\n", encoding="ascii")
    assert needs._refused(number, tmp_path / "disabled").startswith(said)


def test_nothing_is_needed() -> None:
    assert needs.why_not(()) is None


def _as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(rights, "held", lambda right: False)


def test_a_missing_right_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    _as_user(monkeypatch)
    monkeypatch.setattr(tried, "raw_why_not", lambda: "needs CAP_NET_RAW: raw frames")
    reason = needs.why_not(("af_packet",))
    assert reason is not None and reason.startswith("needs CAP_NET_RAW: raw frames; sudo ")
    assert "--ambient-caps=+net_raw ./nearmetal" in reason and "\n" not in reason


def test_too_little_locked_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    _as_user(monkeypatch)
    monkeypatch.setattr(xdp, "why_not", lambda: None)
    monkeypatch.setattr(tried, "xsk_why_not", lambda: None)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64 << 10, 64 << 10))
    reason = needs.why_not(("af_xdp",))
    assert reason is not None and "the limit is 64 KiB: sudo prlimit" in reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights away")
def test_the_command_grants_what_it_says() -> None:
    """Without sudo, which a test may not use, and as another user."""
    words = rights.granting("CAP_NET_RAW").replace("$(id -u)", "65534").replace("$(id -g)", "65534")
    command = words[words.index("setpriv ") :].removesuffix("./nearmetal ...")
    shown = subprocess.run(
        ["sh", "-c", f"{command} grep CapEff /proc/self/status"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(shown.stdout.split()[1], 16) == 1 << 13
