"""test: run C unit tests and fuzzers under sanitizers, then pytest on every rung.

There are two editions. The ordinary one takes minutes. The full one adds the long tests: more
fuzzing, more examples, soaks, kills at more moments, set-up on empty machines. The output ends with
pytest's closing line; the exit code is 1 when anything failed.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nearmetal.build import programs
from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine.processes import surroundings
from nearmetal.paths import build_dir, cache_dir, source_root

LONG = "NEARMETAL_TEST_LONG"  # set to 1 for the full edition, in C and in Python
# Tests wait for the programs that they start; more workers would take those programs' cores.
WORKERS_MAX = 2
C_TIMEOUT_FACTOR = 10  # the C tests' own limits assume an idle machine


def selftest(*, full: bool, only: str | None, minutes: float | None) -> int:
    """Build three variants, run the C tests, then pytest; return the exit code.

    only: the value for pytest's -k; no C test runs then. minutes: time limit of the full edition.
    When it is over no further test starts; the next run begins with the tests left out.
    Raises BadInputError: minutes without full. NearmetalError: pytest is missing.
    """
    if importlib.util.find_spec("pytest") is None:
        raise NearmetalError("pytest is missing: start with ./nearmetal test, which sets it up")
    if minutes is not None and not full:
        raise BadInputError("--minutes: only with --full; without --full all tests always run")
    ends_at = None if minutes is None else time.time() + 60 * minutes
    environment = surroundings.of_tools(os.environ) | {LONG: "1" if full else "0"}
    failed = False
    _build("normal", programs.build)
    if only is None:
        _build("sanitize", lambda: programs.build_c_tests("sanitize"))
        failed |= not _c_tests("sanitize", [], environment)
        failed |= not _fuzzers(environment)
    failed |= _pytest(only, ends_at, environment) != 0
    return 1 if failed else 0


def _build(variant: programs.Variant, act: Callable[[], object]) -> None:
    began = time.monotonic()
    act()
    print(f"build {variant}: {time.monotonic() - began:.0f} s", flush=True)


def _fuzzers(environment: dict[str, str]) -> bool:
    """Run each fuzzer for seconds, in the full edition for minutes; return whether all passed."""
    if (reason := programs.fuzz_why_not()) is not None:
        print(f"fuzzers: skipped, {reason}", flush=True)
        return True
    _build("fuzz", lambda: programs.build_c_tests("fuzz"))
    return _c_tests("fuzz", ["--suite", "fuzz"], environment)


def _c_tests(variant: programs.Variant, words: list[str], environment: dict[str, str]) -> bool:
    """Run the C tests; return whether all passed. Meson prints a line per test, and errors."""
    began = time.monotonic()
    print(f"C tests, build {variant}:", flush=True)
    meson = [sys.executable, "-m", "mesonbuild.mesonmain", "test", "--no-rebuild"]
    meson += ["--timeout-multiplier", str(C_TIMEOUT_FACTOR), "--print-errorlogs"]
    passed = _call([*meson, "-C", str(build_dir(variant)), *words], environment) == 0
    print(f"C tests, build {variant}: {time.monotonic() - began:.0f} s", flush=True)
    return passed


def _pytest(only: str | None, ends_at: float | None, environment: dict[str, str]) -> int:
    """Run pytest, in parallel where there are cores for it; return its exit code.

    tests/conftest.py groups the tests that must share a worker. The cache folder is outside the
    tree, so that the tree may be read-only.
    """
    cache, root = cache_dir(), source_root()
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={cache / 'pytest'}"]
    workers = min(WORKERS_MAX, len(os.sched_getaffinity(0)))
    command += ["-n", str(workers), "--dist", "loadgroup", "--no-loadscope-reorder"]
    command += ["--rootdir", str(root), str(root / "tests")]
    if only is not None:
        command += ["-k", only]
    if ends_at is not None:
        command += ["--ends-at", str(ends_at)]
    # Write no compiled modules to the tree; keep hypothesis's examples in the cache.
    more = {
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(cache / "hypothesis"),
    }
    return _call(command, {**environment, **more}, root)


def _call(command: list[str], environment: dict[str, str], folder: Path | None = None) -> int:
    return subprocess.run(command, env=environment, cwd=folder, check=False).returncode
