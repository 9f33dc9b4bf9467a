"""What runs that were killed left on this machine, as `clean` would undo it. Looks only."""

from __future__ import annotations

from pathlib import Path

from nearmetal.machine import journal


def behind(directory: Path | None = None) -> list[str]:
    """A line each."""
    return journal.behind(directory)
