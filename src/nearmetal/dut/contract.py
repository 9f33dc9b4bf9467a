"""What a trial needs of the program or machine under test, whatever it is.

A process (machine/processes/process.py, Child) and a virtual machine (machine/vm/vm.py, Vm) both
are one.
"""

from __future__ import annotations

from typing import Protocol, Self

from nearmetal.machine.processes.process import COUNTERS_S, Event


class Dut(Protocol):
    """Started, listened to line by line, and gone at the end."""

    name: str
    started_ns: int  # CLOCK_MONOTONIC, just before its exec

    @property
    def pid(self) -> int:
        """What was started, and burns the core; in place of a machine, its QEMU."""
        ...

    def event(self, timeout_s: float) -> Event:
        """The next line that is an event; ChildError when it ends or the time is over."""
        ...

    def expect(self, name: str, timeout_s: float) -> Event:
        """The next event must be this one."""
        ...

    def failed(self) -> str | None:
        """Why it does not serve any more, in words; None while it runs."""
        ...

    def said(self) -> str:
        """What it said last and where the rest is, to be put behind a reason; "": nothing."""
        ...

    def counters(self, timeout_s: float = COUNTERS_S) -> Event:
        """Its counters now; other events that come meanwhile stay to be read. ChildError when it
        ends or tells none."""
        ...

    def stop(self) -> list[Event]:
        """Drain and end; what was not read yet, its last words among them."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
