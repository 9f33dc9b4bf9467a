"""Remember the folder of the last run: it may be anywhere, so its path is kept in the cache."""

from __future__ import annotations

import contextlib
from pathlib import Path

from nearmetal.errors import BadInputError
from nearmetal.paths import cache_dir


def note(folder: Path) -> None:
    """Record the folder of a run that starts. A failure is ignored: the run goes on without it."""
    with contextlib.suppress(OSError):
        _file().write_text(f"{folder.resolve()}\n", encoding="utf-8", errors="surrogateescape")


def run() -> Path | None:
    """Return the folder of the last run; None: there was no run, or its folder is gone."""
    try:
        text = _file().read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    folder = Path(text.removesuffix("\n"))
    return folder if (folder / "spec.json").exists() else None


def folder(given: Path | None) -> Path:
    """Return the given folder, or else that of the last run. Raises BadInputError: neither."""
    found = given or run()
    if found is None:
        raise BadInputError(
            "report: there is no last run, or its folder is gone; name one, e.g."
            " runs/20260101T120000Z-quick"
        )
    return found


def _file() -> Path:
    return cache_dir() / "last-run"
