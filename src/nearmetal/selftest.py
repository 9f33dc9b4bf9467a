"""test: prove it right. C units and fuzzing under sanitizers, then pytest on every rung.

Ends with pytest's closing line; the exit code is 1 when anything failed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from nearmetal import build
from nearmetal.errors import NearmetalError
from nearmetal.paths import build_dir, cache_dir, source_root

LONG = "NEARMETAL_TEST_LONG"  # set to 1 for the long editions, in C and in Python


def selftest(*, long: bool, only: str | None) -> int:
    """Build three times over, run the C tests, run pytest; -k runs of the latter a part."""
    if importlib.util.find_spec("pytest") is None:
        raise NearmetalError("pytest is missing: start with ./nearmetal test, which sets it up")
    failed = False
    environment = {**os.environ, LONG: "1" if long else "0"}
    _build("normal")
    if only is None:
        _build("sanitize")
        failed |= not _c_tests("sanitize", environment)
        if shutil.which("clang"):
            _build("fuzz")
            failed |= not _c_tests("fuzz", environment)
        else:
            print("fuzz targets: skipped, clang is not installed", flush=True)
    failed |= _pytest(only, environment) != 0
    return 1 if failed else 0


def _build(variant: build.Variant) -> None:
    began = time.monotonic()
    build.build(variant=variant)
    print(f"build {variant}: {time.monotonic() - began:.0f} s", flush=True)


def _c_tests(variant: str, environment: dict[str, str]) -> bool:
    """Meson prints a line a test and the output of those that failed."""
    print(f"C tests, build {variant}:", flush=True)
    meson = [sys.executable, "-m", "mesonbuild.mesonmain", "test", "--no-rebuild"]
    folder = str(build_dir(variant))
    return _call([*meson, "--print-errorlogs", "-C", folder], environment) == 0


def _pytest(only: str | None, environment: dict[str, str]) -> int:
    """The cache folder is ours, so that a read-only tree will do; ten slowest per pyproject."""
    cache = cache_dir()
    root = source_root()
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={cache / 'pytest'}"]
    command += ["--rootdir", str(root), str(root / "tests")]
    if only is not None:
        command += ["-k", only]
    # Imported modules leave no files in the tree; hypothesis keeps its examples in the cache.
    more = {
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
    }
    return _call(command, {**environment, **more}, root)


def _call(command: list[str], environment: dict[str, str], folder: Path | None = None) -> int:
    return subprocess.run(command, env=environment, cwd=folder, check=False).returncode
