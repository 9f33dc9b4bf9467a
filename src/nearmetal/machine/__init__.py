"""What is read of a machine, made on it for a run, and put back.

facts.py           what this machine is
journal.py hugepage_claims.py   what was made or changed, and how that is undone
processes/ cores/ memory/ devices/ links/ vm/   the parts of a machine, each for itself
tune/              what a machine is set to before it is measured
"""

from nearmetal.machine.journal import clean
from nearmetal.machine.processes.lock import machine_lock

__all__ = ["clean", "machine_lock"]
