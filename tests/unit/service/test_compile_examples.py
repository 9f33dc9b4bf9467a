"""The examples' compiled functions against CPython: outcomes, lines of faults, and the state."""

from __future__ import annotations

import ctypes
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("numba")

from compiled import Native

from made_requests import made
from nearmetal.service import Source
from nearmetal.service.load import load
from nearmetal.service.runner import Runner

ROOT = Path(__file__).resolve().parents[3]
NAMES = tuple(sorted(path.stem for path in (ROOT / "examples").glob("*.py")))
SEED, ASKED = bytes(range(16)), 20_000
ADDRESSES = (bytes(10) + b"\xff\xff\x0a\0\0\1", bytes(10) + b"\xff\xff\x7f\0\0\1", bytes(16))


@pytest.mark.parametrize("checked", [True, False], ids=("checked", "unchecked"))
@pytest.mark.parametrize("name", NAMES)
def test_they_answer_as_in_cpython(name: str, tmp_path: Path, checked: bool) -> None:
    loaded = load(ROOT / "examples" / f"{name}.py")
    native, runner = Native(loaded, tmp_path, SEED, checked=checked), Runner(loaded, SEED)
    random, now_ns = Random(name), 0
    for number, request in enumerate(made(loaded, random, ASKED if checked else ASKED // 10)):
        now_ns += random.getrandbits(30)
        source = Source(random.choice(ADDRESSES), random.getrandbits(16))
        trusted = random.random() < 0.5
        runner.faults.clear()
        wanted = runner.answer(request, source, now_ns, trusted=trusted)
        if not checked and runner.faults:  # undefined without checks
            ctypes.memmove(native.state, bytes(runner._state.block), len(runner._state.block))
            continue
        got = native.answer(request, source, now_ns, trusted=trusted)
        assert got == wanted, (number, request, native.fault, runner.faults)
        where = "".join(Path(fault.where).name for fault in runner.faults.values())
        assert native.fault == where, (number, request, runner.faults)
        assert bytes(native.state) == bytes(runner._state.block), (number, request)
