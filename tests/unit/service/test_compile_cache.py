"""Compiled services are kept, and compiled again when what they depend on changed."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from nearmetal.errors import CannotRunError
from nearmetal.service.compile import cache
from nearmetal.service.compile.plan import Compiled
from nearmetal.service.load import load

TEXT = """from nearmetal.service import Service, State, i64


class Kept(State):
    one = i64()


service = Service("made", port=7000, state=Kept)


def init(state, args):
    state.one = args.integer("one", 1)


def answer(request, reply, state, source, now_ns):
    return 0
"""
MADE = Compiled(b"object", ("made.py",), False, 40, ("memcpy",))


@pytest.fixture(autouse=True)
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Versions of the compiler that the tests set; no compiler is needed."""
    known = {"numba": "1", "llvmlite": "2"}

    def version(name: str) -> str:
        if name not in known:
            raise importlib.metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    return known


def test_each_change_has_another_key(tmp_path: Path, versions: dict[str, str]) -> None:
    path = tmp_path / "made.py"
    path.write_text(TEXT)
    loaded = load(path)
    keys = [cache.key_of(loaded, checked=checked) for checked in (True, False)]
    keys.append(cache.key_of(load(path, {"one": "2"}), checked=True))
    path.write_text(TEXT.replace("return 0", "return 1"))
    keys.append(cache.key_of(load(path), checked=True))
    versions["numba"] = "3"
    keys.append(cache.key_of(load(path), checked=True))
    assert len(set(keys)) == len(keys)
    assert cache.key_of(load(path), checked=True) == keys[-1]


def test_what_is_kept_is_whole_and_of_the_key(tmp_path: Path) -> None:
    cache._write(tmp_path / "kept", "key", MADE)
    assert cache._read(tmp_path / "kept", "key") == MADE
    assert cache._read(tmp_path / "kept", "other") is None
    assert cache._read(tmp_path / "none", "key") is None
    (tmp_path / "kept" / "service.o").write_bytes(b"objec")
    assert cache._read(tmp_path / "kept", "key") is None


def test_a_missing_compiler_is_one_line(tmp_path: Path, versions: dict[str, str]) -> None:
    path = tmp_path / "made.py"
    path.write_text(TEXT)
    del versions["numba"]
    with pytest.raises(
        CannotRunError, match=r"numba is missing: let \./nearmetal install it"
    ) as it:
        cache.compiled(load(path), tmp_path)
    assert "\n" not in str(it.value)
