"""What runs that were killed left on this machine, as `clean` would undo it. Looks only."""

from __future__ import annotations

from pathlib import Path

from nearmetal.machine import journal
from nearmetal.machine.processes import owner


def behind(directory: Path | None = None) -> list[str]:
    """A line each."""
    found = [
        f"process {pid} (of {marker.pid})"
        for pid, marker in owner.children()
        if not owner.alive(marker)
    ]
    folder = (directory or owner.state_directory()) / "journal"
    for each in sorted(folder.iterdir()) if folder.is_dir() else []:
        whose = owner.parse(each.name)
        if whose is not None and not owner.alive(whose):
            records = journal.kept(each).values()
            found += [f"{record.kind} {record.what} (of {whose.pid})" for record in records]
    return found
