"""Install the Python packages of extras into the venv this runs in.

    python -m nearmetal.setup.extras PYPROJECT base build report

Standard library only: it runs before anything is installed. A finished extra leaves a stamp in
the venv's `ready` folder; the launcher looks at these. Which index is asked is the machine's
affair: pip's own configuration and environment hold.
"""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Install what has no stamp yet."""
    project = tomllib.loads(Path(arguments[0]).read_text(encoding="utf-8"))["project"]
    ready = Path(sys.prefix) / "ready"
    ready.mkdir(exist_ok=True)
    wanted = [extra for extra in arguments[1:] if not (ready / extra).exists()]
    if wanted and not _install(requirements(project, wanted), wanted):
        return 1
    for extra in wanted:
        (ready / extra).write_text(f"{Path(sys.executable).resolve()}\n", encoding="utf-8")
    return 0


def requirements(project: dict[str, object], extras: list[str]) -> list[str]:
    """What pyproject.toml asks for: `base` are the plain dependencies."""
    optional = project["optional-dependencies"]
    found: list[str] = []
    for extra in extras:
        assert isinstance(optional, dict)
        listed = project["dependencies"] if extra == "base" else optional[extra]
        assert isinstance(listed, list)
        found += listed
    return found


def _install(names: list[str], extras: list[str]) -> bool:
    print(
        f"nearmetal: fetching Python packages ({', '.join(extras)}) ... ", end="", file=sys.stderr
    )
    sys.stderr.flush()
    since = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-input", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print("failed", file=sys.stderr)
        print("\n".join((done.stdout + done.stderr).splitlines()[-15:]), file=sys.stderr)
        print("nearmetal: pip could not fetch them; its words are above", file=sys.stderr)
        return False
    print(f"{time.monotonic() - since:.0f} s", file=sys.stderr)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
