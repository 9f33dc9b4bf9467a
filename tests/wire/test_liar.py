"""The checks can fail: against a service that lies, the generator finds every lie, and no other.

The generator's counts must be equal to those of the liar (liars.py). The time-out is longer than in
a trial: a stall of 100 ms must not appear as a lie. The same test runs on the sockets and on
vhost-user, where the generator works in the server's own buffers.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from liars import REQUESTS, Liar, Lies, measured
from targets import LIARS

from nearmetal.machine.processes.process import Event
from nearmetal.service.records import Record, write
from nearmetal.spec import rungs

LAST = 2  # late or doubled replies that are still on the wire at the end
KEYS = ("--keys", "50000", "--get", "0.75", "--set", "0.2", "--miss", "0.05", "--no-overlap")
ON_ALL = pytest.mark.parametrize(
    "rung", [pytest.param(name, id=name, marks=pytest.mark.rung(name)) for name in LIARS]
)


def of_a_store(seed: int, *form: str) -> Liar:
    """form: options for keys and values."""
    return Liar("liar", "kv", (*KEYS, *form), seed)


@pytest.mark.parametrize("seed", [1, 2])
@ON_ALL
def test_the_generator_finds_exactly_the_lies(rung: str, seed: int, tmp_path: Path) -> None:
    exactly_the_lies(*measured(rungs.find(rung), tmp_path, of_a_store(seed)))


def test_short_keys_hide_no_lie(tmp_path: Path) -> None:
    form = ("--key-bytes", "8", "--value-bytes", "16")
    exactly_the_lies(*measured(rungs.find("host-mmsg"), tmp_path, of_a_store(3, *form)))


def test_the_shortest_values_hide_no_lie(tmp_path: Path) -> None:
    """The workload paper's value size. A version with a flipped bit may look like an old one."""
    form = ("--key-bytes", "8", "--value-bytes", "8", "--get", "1", "--set", "0", "--miss", "0")
    form = (*form, "--uniform", "--flows", "1")
    result, lies = measured(rungs.find("host-mmsg"), tmp_path, of_a_store(4, *form))
    assert min(lies[kind] for kind in ("flip", "drop", "double", "delay")) > 0
    assert lies["stale"] == lies["ignore"] == 0
    assert result["wrong"] == lies["flip"] and result["unexpected_miss"] == 0
    assert result["lost"] == lies["drop"] + lies["delay"]
    assert result["sent"] == result["gets"] == sum(map(result.get, ("answered", "wrong", "lost")))


def exactly_the_lies(result: Event, lies: Lies) -> None:
    print({name: value for name, value in result.items() if name != "latency"}, lies)

    for kind in ("flip", "drop", "double", "delay", "ignore", "stale"):
        assert lies[kind] > 0, f"the liar told no lie of the kind {kind}: {lies}"
    assert result["sent"] >= REQUESTS
    assert result["sent"] == result["answered"] + result["wrong"] + result["lost"]
    assert result["wrong"] - result["stale"] == lies["flip"]
    assert result["stale"] == lies["stale"]
    assert result["lost"] == lies["drop"] + lies["delay"]
    # The generator can end before it has seen the last ones.
    assert lies["delay"] - LAST <= result["late"] <= lies["delay"]
    assert lies["double"] - LAST <= result["duplicate"] <= lies["double"]
    assert result["unexpected_miss"] == 0
    assert result["unmatched"] == 0


# ---- records ----


@dataclass(frozen=True)
class Id:
    at: int = 0
    reply_at: int = 0


def records(path: Path) -> None:
    """Write the records that liar_echo.c describes: the mask leaves out two bytes."""
    draw = random.Random(1)
    texts = [
        bytes(4)
        + number.to_bytes(4, "little")
        + draw.randbytes(draw.choice((4, 8, 9, 24, 60, 500)))
        for number in range(5_000)
    ]
    masks = [b"\xff\xff\0\0" + b"\xff" * (len(text) - 4) for text in texts]
    write(path, [Record(*each) for each in zip(texts, texts, masks, strict=True)], [], Id())


@pytest.mark.parametrize("seed", [1, 2])
@ON_ALL
def test_replayed_records_hide_no_lie(rung: str, seed: int, tmp_path: Path) -> None:
    records(tmp_path / "records")
    asked = ("--service", "replay", "--records", str(tmp_path / "records"))
    liar = Liar("liarecho", "echo", asked, seed)
    result, lies = measured(rungs.find(rung), tmp_path, liar)
    print({name: value for name, value in result.items() if name != "latency"}, lies)

    kinds = ("flip", "cut", "longer", "other", "id", "stub", "drop", "double", "delay")
    for kind in kinds:
        assert lies[kind] > 0, f"the liar told no lie of the kind {kind}: {lies}"
    assert result["sent"] >= REQUESTS
    assert result["sent"] == result["answered"] + result["wrong"] + result["lost"]
    assert result["wrong"] == sum(lies[kind] for kind in ("flip", "cut", "longer", "other"))
    assert result["lost"] == sum(lies[kind] for kind in ("drop", "delay", "id", "stub"))
    assert result["unmatched"] == lies["id"] + lies["stub"]
    assert lies["delay"] - LAST <= result["late"] <= lies["delay"]
    assert lies["double"] - LAST <= result["duplicate"] <= lies["double"]
    assert result["stale"] == result["unexpected_miss"] == 0
    assert result["unchecked_bytes"] == 2 * result["answered"]
    assert result["first_wrong"].startswith("record ")
