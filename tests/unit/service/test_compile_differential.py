"""Compiled functions against CPython: replies, drops, the line of each fault, and the state."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

pytest.importorskip("numba")

from compiled import HEAD, SOURCE, Native
from generated import Maker

from nearmetal.service.load import load
from nearmetal.service.runner import Runner

SEED = bytes(range(16))
FUNCTIONS, ASKED = 20, 20  # compiling takes half a second for each function
QUICK, ALL = 3, 27  # files
WORDS = (b"name", b"nam2", b"\0\0\0\0", b"\xff\xff\xff\xff")


def requests(random: Random, functions: int, count: int) -> list[bytes]:
    """Return requests, `count` of each function; few keys, so that tables find some again."""
    return [
        bytes((number,))
        + random.choice((random.randbytes(8), bytes(7) + random.randbytes(1), b"\xff" * 8))
        + random.randbytes(2)
        + random.choice(WORDS) * random.randint(1, 3)
        for _ in range(count)
        for number in range(functions)
    ]


def agree(folder: Path, text: str, random: Random, functions: int) -> None:
    """Compile a file, ask it, and compare every outcome with CPython's."""
    path = folder / "made.py"
    path.write_text(text)
    loaded = load(path)
    native, runner = Native(loaded, folder, SEED), Runner(loaded, SEED)
    for request in requests(random, functions, ASKED):
        now_ns = random.getrandbits(62)
        runner.faults.clear()
        got = native.answer(request, SOURCE, now_ns)
        wanted = runner.answer(request, SOURCE, now_ns)
        assert got == wanted, (request, now_ns, native.fault, runner.faults)
        where = "".join(Path(fault.where).name for fault in runner.faults.values())
        assert native.fault == where, (request, now_ns, runner.faults)
        assert bytes(native.state) == bytes(runner._state.block), (request, now_ns)


@pytest.mark.parametrize("number", range(QUICK))
def test_generated_functions_agree(number: int, tmp_path: Path) -> None:
    random = Random(number)
    agree(tmp_path, HEAD + Maker(random).file(FUNCTIONS), random, FUNCTIONS)


@pytest.mark.usefixtures("only_full")
@pytest.mark.parametrize("number", range(QUICK, ALL))
def test_many_generated_functions_agree(number: int, tmp_path: Path) -> None:
    test_generated_functions_agree(number, tmp_path)
