"""What a trial needs of the program or machine under test, whatever it is.

A process (process.py, Child) and a virtual machine (vm.py, Vm) both are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self


class Dut(Protocol):
    """Started, listened to line by line, and gone at the end."""

    name: str
    started_ns: int  # CLOCK_MONOTONIC, just before its exec

    @property
    def pid(self) -> int:
        """What was started, and burns the core; in place of a machine, its QEMU."""
        ...

    def event(self, timeout_s: float) -> Mapping[str, Any]:
        """The next line that is an event; ChildError when it ends or the time is over."""
        ...

    def expect(self, name: str, timeout_s: float) -> Mapping[str, Any]:
        """The next event must be this one."""
        ...

    def failed(self) -> str | None:
        """Why it does not serve any more, in words; None while it runs."""
        ...

    def ask_counters(self) -> None:
        """It is to print a `counters` line."""
        ...

    def stop(self) -> list[Mapping[str, Any]]:
        """Drain and end; what was not read yet, its last words among them."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...
