"""Facts of the machine, read from files in the kernel's format."""

from __future__ import annotations

from pathlib import Path

from nearmetal.machine.facts import cache_bytes, facts


def test_caches_by_level(tmp_path: Path) -> None:
    told = [("1", "Data", "48K"), ("1", "Instruction", "32K"), ("2", "Unified", "1024K")]
    for number, values in enumerate([*told, ("3", "Unified", "32768K")]):
        folder = tmp_path / f"index{number}"
        folder.mkdir()
        for name, value in zip(("level", "type", "size"), values, strict=True):
            (folder / name).write_text(value + "\n")
    (tmp_path / "index4").mkdir()  # without values
    assert cache_bytes(tmp_path) == {"L1d": 48 << 10, "L2": 1 << 20, "L3": 32 << 20}
    assert cache_bytes(tmp_path / "none") == {}


def test_facts_are_whole() -> None:
    found = facts()
    assert found.cores >= 1 and found.memory_bytes > 0
    assert list(found.cache_bytes.values()) == sorted(found.cache_bytes.values())
