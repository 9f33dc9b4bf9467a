"""QMP connection to one QEMU, over a socket pair that QEMU inherits and no other process can use.

QEMU answers once its main loop runs; with a vhost-user NIC this is after the first back end has
connected.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from qemu.qmp import QMPClient, QMPError

from nearmetal.errors import NearmetalError
from nearmetal.machine.processes import signals


class MonitorError(NearmetalError):
    """QEMU does not answer, or refuses a command."""


class Monitor:
    """The monitor of one QEMU. Runs one command at a time; nothing happens between commands."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: QMPClient | None = None

    @property
    def descriptor(self) -> int:
        """Return the descriptor that QEMU must inherit."""
        return self._theirs.fileno()

    def inherited(self) -> None:
        """Close QEMU's socket here after QEMU inherited it, so that ours reports when QEMU ends."""
        self._theirs.close()

    def vcpu_threads(self, timeout_s: float) -> list[int]:
        """Return the ids of the vCPU threads, in the order of the vCPUs."""
        found = self._ask("query-cpus-fast", timeout_s)
        return [int(cpu["thread-id"]) for cpu in sorted(found, key=lambda cpu: cpu["cpu-index"])]

    def version(self, timeout_s: float) -> str:
        """Return QEMU's version as major.minor.micro."""
        told = self._ask("query-version", timeout_s)["qemu"]
        return f"{told['major']}.{told['minor']}.{told['micro']}"

    def quit(self, timeout_s: float) -> None:
        """Request QEMU's end. QEMU may end before it answers."""
        with contextlib.suppress(MonitorError, EOFError):
            self._ask("quit", timeout_s)

    def close(self) -> None:
        """Close the connection. May be called twice."""
        if self._loop is not None:
            assert self._client is not None
            with contextlib.suppress(QMPError, EOFError, OSError, TimeoutError):
                self._run(self._client.disconnect, 1.0)
            self._loop.close()
            self._loop = self._client = None
        self._ours.close()
        self._theirs.close()

    def _ask(self, command: str, timeout_s: float) -> Any:
        try:
            if self._loop is None:
                self._connect(timeout_s)
            assert self._client is not None
            client = self._client
            return self._run(lambda: client.execute(command), timeout_s)
        except TimeoutError:
            raise MonitorError(f"QEMU did not answer {command} in {timeout_s:g} s") from None
        except (QMPError, OSError) as error:
            raise MonitorError(f"QEMU did not answer {command}: {error}") from error

    def _connect(self, timeout_s: float) -> None:
        # Errors are raised here; the library would log them too.
        logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)
        self._loop = asyncio.new_event_loop()
        self._client = client = QMPClient()
        self._run(lambda: client.connect(self._ours), timeout_s)

    def _run(self, what: Callable[[], Coroutine[Any, Any, Any]], timeout_s: float) -> Any:
        assert self._loop is not None

        async def limited() -> Any:
            return await asyncio.wait_for(what(), timeout_s)

        with signals.held():  # an interrupted call leaves the library in a broken state
            return self._loop.run_until_complete(limited())
