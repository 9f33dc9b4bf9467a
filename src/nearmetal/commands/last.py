"""Which run was the last one: its folder may be anywhere, so it is noted in the cache."""

from __future__ import annotations

import contextlib
from pathlib import Path

from nearmetal.errors import BadInputError
from nearmetal.paths import cache_dir


def note(folder: Path) -> None:
    """A run begins there. What cannot be noted is no reason not to measure."""
    with contextlib.suppress(OSError):
        _file().write_text(f"{folder.resolve()}\n", encoding="utf-8", errors="surrogateescape")


def run() -> Path | None:
    """Its folder; None: there was none, or it is gone."""
    try:
        text = _file().read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    folder = Path(text.removesuffix("\n"))
    return folder if (folder / "spec.json").exists() else None


def folder(given: Path | None) -> Path:
    """Of the run that is meant."""
    found = given or run()
    if found is None:
        raise BadInputError(
            "report: there is no last run, or its folder is gone; name one, as"
            " runs/20260101T120000Z-quick"
        )
    return found


def _file() -> Path:
    return cache_dir() / "last-run"
