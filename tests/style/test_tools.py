"""The tools that read the whole tree: ruff, mypy, clang-format."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tree


def run(*command: str) -> None:
    done = subprocess.run(
        command, cwd=tree.ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    run(sys.executable, "-m", "ruff", "check", "--no-cache", *tree.files(".py"))


def test_ruff_formats_nothing() -> None:
    run(sys.executable, "-m", "ruff", "format", "--no-cache", "--check", *tree.files(".py"))


def test_mypy_strict(tmp_path_factory: pytest.TempPathFactory) -> None:
    cache = tmp_path_factory.mktemp("mypy")
    run(sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache))


def test_clang_format_changes_nothing() -> None:
    beside = Path(sys.executable).parent / "clang-format"
    tool = str(beside) if beside.exists() else shutil.which("clang-format")
    if tool is None:
        pytest.skip("clang-format is not installed")
    run(tool, "--dry-run", "-Werror", *tree.files(".c", ".h"))


def test_launcher_is_posix_sh() -> None:
    for name in ("nearmetal", "src/nearmetal/build/setup.sh", ".ci/run"):
        run("sh", "-n", name)
