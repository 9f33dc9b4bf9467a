"""The null responder of vhost-user tells its counters whenever it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tool import Program, until

SAY_S = 120.0
LOAD = [
    *("--source", "10.0.0.1", "--target", "10.0.0.2:11211", "--target-mac", "02:00:00:00:00:02"),
    *("--service", "echo", "--warmup", "0", "--time", "0.2", "--window", "64", "--await"),
]

pytestmark = pytest.mark.rung("ceiling")

Programs = Callable[[str], Path]


@pytest.mark.parametrize("listens", [False, True], ids=["connects", "listens"])
def test_counters_before_between_and_after_generators(
    programs: Programs, tmp_path: Path, listens: bool
) -> None:
    vhost = tmp_path / "vhost"
    null = [str(programs("nm-null-vhost")), "--socket", str(vhost)]
    load = [str(programs("nm-load-vhost")), "--socket", str(vhost), *LOAD]
    null, load = ([*null, "--listen"], [*load, "--connect"]) if listens else (null, load)
    with Program(null) as server:
        server.expect("ready", SAY_S)
        assert server.counters(SAY_S)["received"] == 0
        received = 0
        for _ in range(2):
            with Program(load) as generator:
                until(generator, "measuring", SAY_S)
                meanwhile = server.counters(SAY_S)["received"]
                sent = until(generator, "result", SAY_S)["sent"]
                generator.wait(SAY_S)
            after = server.counters(SAY_S)["received"]
            assert received < meanwhile <= after and after >= received + sent
            received = after
        assert server.final(SAY_S)["received"] == received
