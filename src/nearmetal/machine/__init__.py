"""What the machine is made to look like for a run, and how that is undone."""

from nearmetal.machine.journal import clean
from nearmetal.machine.processes.lock import machine_lock

__all__ = ["clean", "machine_lock"]
