"""Where things lie: the source tree, and the cache that holds everything built or fetched.

Nothing is written into the source tree but runs/, so it may be read-only.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def source_root() -> Path:
    """The clone that this package was started from."""
    return Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Ours alone under the XDG cache; the launcher computes the same path."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nearmetal"


def build_dir(variant: str, tree: Path | None = None) -> Path:
    """One build folder for each clone and variant, so that two clones do not mix; tree: another
    one than ours."""
    key = hashlib.sha256(str(tree or source_root()).encode()).hexdigest()[:12]
    return cache_dir() / "build" / f"{key}-{variant}"
