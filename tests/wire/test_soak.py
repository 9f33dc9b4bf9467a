"""The unikernel as a process at full rate, for ten minutes with NEARMETAL_TEST_LONG=1.

No wrong answer, no eviction, counts that agree, no system call under load, and no more memory at
the end than at the beginning. By default the test takes a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from framed import PORT, SERVER, command, skip_where_missing, wait_for

import tool
from nearmetal.spec import rungs
from tool import Program

LONG_S, SHORT_S = 600, 1
LOAD = ["--keys", "1000000", "--warmup", "0", "--window", "256"]
MEMORY_BYTES = 256 << 20
MORE_S = 120.0  # preload, read back and drain on a busy machine
GROWTH_BYTES = 1 << 20

Programs = Callable[[str], Path]


@pytest.mark.timeout(LONG_S + 2 * MORE_S)
@pytest.mark.rung("ukp-netdev")
def test_at_full_rate(programs: Programs, tmp_path: Path, is_long: bool) -> None:
    rung, seconds = rungs.find("ukp-netdev"), LONG_S if is_long else SHORT_S
    skip_where_missing(rung, "kv", programs)
    vhost = tmp_path / "vhost"
    asking = [str(programs("nm-load-vhost")), "--socket", str(vhost), "--source", "10.0.0.1"]
    asking += ["--target", f"{SERVER}:{PORT}", "--service", "kv", "--await", *LOAD]
    with Program([*asking, "--time", str(seconds)]) as generator:
        wait_for(vhost, generator)
        words = ["--poll", "--allow", "10.0.0.0/24"]
        made = command(rung, "kv", programs, vhost, words, MEMORY_BYTES)
        with Program(list(made.argv)) as tender:
            pid = tender.expect("ready", MORE_S)["pid"]
            tool.until(generator, "measuring", MORE_S)
            resident, before = resident_bytes(pid), tender.counters(MORE_S)
            result = generator.last(seconds + MORE_S)
            after, grown = tender.counters(MORE_S), resident_bytes(pid) - resident
            tender.final(MORE_S)
    assert result["sent"] == result["answered"] + result["wrong"] + result["lost"]
    assert result["wrong"] == result["malformed"] == result["unmatched"] == 0
    assert result["answered"] > 0 and after["evicted"] == 0
    assert after["syscalls"] == before["syscalls"]
    assert after["received"] == sum(after["drops"].values())
    assert grown < GROWTH_BYTES
    print(f"{result['answered']:,} right answers in {seconds} s, {result['lost']} lost")


def resident_bytes(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) << 10
