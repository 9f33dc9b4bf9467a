"""The files of the project: those tracked by git, or, without git, all files of the tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_OURS = {".git", "build", "runs"}


def files(*endings: str) -> list[str]:
    """Return the sorted paths relative to the root; all, or those with one of the endings."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True
        )
        names = done.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        names = [str(path) for path in found if _is_ours(path)]
    chosen = [name for name in names if not endings or name.endswith(endings)]
    return sorted(name for name in chosen if (ROOT / name).is_file())


def _is_ours(path: Path) -> bool:
    return path.parts[0] not in _NOT_OURS and "__pycache__" not in path.parts


def read(name: str) -> str:
    """Return the text of a file."""
    return (ROOT / name).read_text(encoding="utf-8")
