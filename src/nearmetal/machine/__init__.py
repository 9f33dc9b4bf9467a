"""What is read of a machine, made on it for a run, and put back.

facts.py           what this machine is
journal.py records.py undo.py hugepage_claims.py   what was made or changed, and its undoing
processes/ cores/ memory/ devices/ links/ vm/   the parts of a machine, each for itself
tune/              what a machine is set to before it is measured
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearmetal.machine.journal import clean
    from nearmetal.machine.processes.lock import machine_lock

__all__ = ["clean", "machine_lock"]

_FROM = {"clean": "nearmetal.machine.journal", "machine_lock": "nearmetal.machine.processes.lock"}


def __getattr__(name: str) -> Any:
    """Read when they are asked for: who wants signals.py alone does not wait for the rest."""
    if name not in _FROM:
        raise AttributeError(name)
    return getattr(importlib.import_module(_FROM[name]), name)
