"""The interface that a trial needs of the device under test, a process or a virtual machine.

Implemented by Child (machine/processes/process.py) and Vm (machine/vm/vm.py).
"""

from __future__ import annotations

from typing import Protocol, Self

from nearmetal.machine.processes.process import COUNTERS_S, Event


class Dut(Protocol):
    """A started DUT, which prints one event per line. Leaving its context ends it."""

    name: str
    started_ns: int  # CLOCK_MONOTONIC, just before its exec

    @property
    def pid(self) -> int:
        """Process that uses the SUT's core; for a virtual machine its QEMU."""
        ...

    def event(self, timeout_s: float) -> Event:
        """Return the next event. Raises ChildError: the DUT ended, or the time is over."""
        ...

    def expect(self, name: str, timeout_s: float) -> Event:
        """Return the next event, which must have this name; else raises ChildError."""
        ...

    def failed(self) -> str | None:
        """Return why it no longer serves, in words; None while it runs."""
        ...

    def said(self) -> str:
        """Return its last output and where the rest is, to append to a reason; "": no output."""
        ...

    def counters(self, timeout_s: float = COUNTERS_S) -> Event:
        """Return its counters now; other events that arrive meanwhile are kept for `event`.

        Raises ChildError: it ended, or sent no counters in time.
        """
        ...

    def stop(self) -> list[Event]:
        """Let it answer queued requests and end; return the unread events, `final` among them."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
