"""The unikernel as a process at full rate: the full edition runs for ten minutes.

Nothing wrong, nothing evicted, the ledger closed, no system call under load, and no more memory at
the end than at the beginning. The ordinary edition takes a second.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from framed import PORT, SERVER, server, skip_where_missing, started, wait_for

from nearmetal import rungs

LONG_S, SHORT_S = 600, 1
LOAD = ["--keys", "1000000", "--warmup", "0", "--window", "256"]
MEMORY = ["--memory", "256MiB", "--poll"]
MORE_S = 120.0  # preload, read back and drain on a busy machine
GROWTH_BYTES = 1 << 20

Programs = Callable[[str], Path]


@pytest.mark.rung("ukp-netdev")
def test_at_full_rate(programs: Programs, tmp_path: Path, is_long: bool) -> None:
    rung, seconds = rungs.find("ukp-netdev"), LONG_S if is_long else SHORT_S
    skip_where_missing(rung, "kv", programs)
    vhost = tmp_path / "vhost"
    asking = [str(programs("nm-load-vhost")), "--socket", str(vhost), "--source", "10.0.0.1"]
    asking += ["--target", f"{SERVER}:{PORT}", "--service", "kv", "--await", *LOAD]
    with started([*asking, "--time", str(seconds)]) as generator:
        wait_for(vhost, generator)
        argv = server(rung, "kv", programs, vhost, [*MEMORY, "--allow", "10.0.0.0/24"])
        with started(argv) as tender:
            pid = said(tender, "ready")["pid"]
            said(generator, "measuring")
            resident, before = resident_bytes(pid), counters(tender)
            lines, _ = generator.communicate(timeout=seconds + MORE_S)
            after, grown = counters(tender), resident_bytes(pid) - resident
            tender.terminate()
            tender.communicate(timeout=MORE_S)
    result = next(line for line in map(json.loads, lines.splitlines()) if line["event"] == "result")
    assert result["sent"] == result["answered"] + result["wrong"] + result["lost"]
    assert result["wrong"] == result["malformed"] == result["unmatched"] == 0
    assert result["answered"] > 0 and after["evicted"] == 0
    assert after["syscalls"] == before["syscalls"]
    assert after["received"] == sum(after["drops"].values())
    assert grown < GROWTH_BYTES
    print(f"{result['answered']:,} right answers in {seconds} s, {result['lost']} lost")


def said(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    assert process.stdout is not None
    for text in process.stdout:
        line: dict[str, Any] = json.loads(text)
        if line["event"] == event:
            return line
    raise AssertionError(f"{process.args} ended without {event}")


def counters(tender: subprocess.Popen[str]) -> dict[str, Any]:
    tender.send_signal(signal.SIGUSR1)
    return said(tender, "counters")


def resident_bytes(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) << 10
