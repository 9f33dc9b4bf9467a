"""The null responder of vhost-user reports its counters at any time; a generator waits for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nearmetal.machine.processes.process import SilentError
from tool import Program, until

SAY_S = 120.0
LOAD = [
    *("--source", "10.0.0.1", "--target", "10.0.0.2:11211", "--target-mac", "02:00:00:00:00:02"),
    *("--service", "echo", "--warmup", "0", "--time", "0.2", "--window", "64", "--await"),
]

pytestmark = pytest.mark.rung("ceiling")

Programs = Callable[[str], Path]


def commands(
    programs: Programs, vhost: Path, options: list[str], *, null_listens: bool
) -> tuple[list[str], list[str]]:
    """Return the commands of the null responder and of a generator; either can make the socket."""
    null = [str(programs("nm-null-vhost")), "--socket", str(vhost)]
    load = [str(programs("nm-load-vhost")), "--socket", str(vhost), *options]
    return ([*null, "--listen"], [*load, "--connect"]) if null_listens else (null, load)


@pytest.mark.parametrize("listens", [False, True], ids=["connects", "listens"])
def test_counters_before_between_and_after_generators(
    programs: Programs, tmp_path: Path, listens: bool
) -> None:
    null, load = commands(programs, tmp_path / "vhost", LOAD, null_listens=listens)
    with Program(null) as server:
        server.expect("ready", SAY_S)
        assert server.counters(SAY_S)["received"] == 0
        received = 0
        for _ in range(2):
            with Program(load) as generator:
                until(generator, "measuring", SAY_S)
                meanwhile = server.counters(SAY_S)["received"]
                answered = until(generator, "result", SAY_S)["answered"]
                generator.wait(SAY_S)
            # Without what a stalled responder had not received when the generator ended.
            after = server.counters(SAY_S)["received"]
            assert received < meanwhile <= after and after >= received + answered
            received = after
        assert server.final(SAY_S)["received"] == received


@pytest.mark.parametrize("connects", [False, True], ids=["listens", "connects"])
def test_nothing_is_measured_before_the_other_end_is_up(
    programs: Programs, tmp_path: Path, connects: bool
) -> None:
    """Otherwise the load could end before a virtual machine has booted."""
    without_await = LOAD[:-1]
    null, load = commands(programs, tmp_path / "vhost", without_await, null_listens=connects)
    with Program(load) as generator:
        generator.expect("ready", SAY_S)
        with pytest.raises(SilentError):
            generator.event(1.0)
        with Program(null) as server:
            server.expect("ready", SAY_S)
            result = until(generator, "result", SAY_S)
            assert result["answered"] > 0 and result["lost"] == 0
            generator.wait(SAY_S)
