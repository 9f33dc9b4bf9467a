"""Install the Python packages of extras into the venv that runs this module.

    python -m nearmetal.build.extras PYPROJECT base build report

Standard library only: it runs before anything is installed. A finished extra leaves a stamp in
the venv's `ready` folder. The launcher checks these stamps, and recreates the venv where it finds a
stamp `unfinished`, which means that pip was killed. The machine chooses the package index: pip's
own configuration and environment apply, except settings of where it installs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path

from nearmetal.machine.processes import surroundings


def main(arguments: list[str]) -> int:
    """Install the extras that have no stamp; return the exit code."""
    project = tomllib.loads(Path(arguments[0]).read_text(encoding="utf-8"))["project"]
    ready = Path(sys.prefix) / "ready"
    ready.mkdir(exist_ok=True)
    wanted = [extra for extra in arguments[1:] if not (ready / extra).exists()]
    if wanted and not _install(requirements(project, wanted), wanted, ready / "unfinished"):
        return 1
    for extra in wanted:
        (ready / ".new").write_text(f"{Path(sys.executable).resolve()}\n", encoding="utf-8")
        (ready / ".new").replace(ready / extra)
    return 0


def requirements(project: dict[str, object], extras: list[str]) -> list[str]:
    """Return the requirements of extras in pyproject.toml; `base` means the plain dependencies."""
    optional = project["optional-dependencies"]
    found: list[str] = []
    for extra in extras:
        assert isinstance(optional, dict)
        listed = project["dependencies"] if extra == "base" else optional[extra]
        assert isinstance(listed, list)
        found += listed
    return found


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for pip.

    Variables of pip and Python that redirect or prevent the installation are left out, and so are
    variables that change what is compiled (surroundings.of_tools).
    """
    left_out = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"}
    left_out |= {"PIP_DRY_RUN", "PIP_NO_DEPS", "PIP_REQUIREMENT"}
    kept = {
        name: value
        for name, value in surroundings.of_tools(given).items()
        if name not in left_out and not name.startswith("PYTHON")
    }
    return kept | {"PIP_USER": "0"}


def _install(names: list[str], extras: list[str], unfinished: Path) -> bool:
    print(
        f"nearmetal: fetching Python packages ({', '.join(extras)}) ... ", end="", file=sys.stderr
    )
    sys.stderr.flush()
    since = time.monotonic()
    unfinished.touch()
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-input", *names],
        env=environment(os.environ),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode >= 0:  # it was not killed, so it rolled back an installation that failed
        unfinished.unlink()
    if done.returncode != 0:
        print("failed", file=sys.stderr)
        print("\n".join((done.stdout + done.stderr).splitlines()[-15:]), file=sys.stderr)
        print("nearmetal: pip could not fetch them; its output is above", file=sys.stderr)
        return False
    print(f"{time.monotonic() - since:.0f} s", file=sys.stderr)
    return True


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
