"""A low port that a user may not bind: the message names the missing right, the setting, and
another port as a cure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

START = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@pytest.mark.parametrize("who", ["host-py", "nm-sock-kv", "nm-mmsg-kv", "nm-load"])
def test_a_forbidden_low_port_is_one_line_with_a_cure(
    who: str, programs: Callable[[str], Path]
) -> None:
    if int(START.read_text(encoding="ascii")) <= 80:
        pytest.skip(f"{START}: here any user may bind port 80")
    python = [sys.executable, "-m", "nearmetal.kv.server"]
    command = python if who == "host-py" else [str(programs(who))]
    if who == "nm-load":
        command += ["--target", "127.0.0.1:11211", "--source-port", "80"]
    else:
        command += ["--listen", "127.0.0.1:80"]
    rights = WITHOUT_RIGHTS if os.geteuid() == 0 else ()
    done = subprocess.run(
        [*rights, *command], capture_output=True, text=True, timeout=120, check=False
    )
    said = done.stderr.strip()
    assert done.returncode == 1 and "\n" not in said
    assert "Permission denied" in said and "CAP_NET_BIND_SERVICE" in said
    assert "give a higher one" in said and "address of this machine" not in said
