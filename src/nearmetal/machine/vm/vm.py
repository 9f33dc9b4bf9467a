"""A running virtual machine: starts QEMU, pins it, reads the guest's serial line, ends both.

    with Vm(machine, Where(cpu=others), log) as vm:
        vm.booted(START_S)     one of our images: its first line
        vm.pin((cpu,))         once the guest runs
        vm.expect("ready", START_S)

The guest's serial line is QEMU's standard input and output. Lines that begin with { are events, as
any DUT prints them (docs/programs.md). All other lines go to the log; the last of them, and the
log's path, go into the reason of a failure. Our images read single bytes from the line: c requests
counters, q the end. When an image reports that it has booted, it is sent the time. QEMU ends with
this process, as any child does, and the guest with it.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from nearmetal.machine.cores.cpus import pin
from nearmetal.machine.memory.rss import mapping_rss_bytes, memfd_resident_bytes, rss_bytes
from nearmetal.machine.processes.process import (
    COUNTERS_S,
    START_S,
    Child,
    ChildError,
    Event,
    SilentError,
    Where,
    answered,
    is_counters,
    parse,
)
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.qmp import Monitor

_QUIT_S = 3.0
_TALKED_ON_S = 1.0  # after the deadline, for lines that had arrived by then
_WORDS = 8  # last lines of the serial line that are part of a reason,
_SAID_CHARS_MAX = 500  # and at most so many of their last characters
# After a panic follow registers and a trace; the panic's own line is more useful.
_TELLING = re.compile(r"panic|fatal|not syncing|assertion|crash|unhandled", re.IGNORECASE)
# Colours (ECMA-48) and other control characters, which must not appear in our output.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b.|[^\S ]|[\x00-\x1f\x7f-\x9f]")


class Vm:
    """A virtual machine; a DUT (dut/contract.py).

    speaks: the guest prints events and reads single bytes, as our images do; else its output is
    only kept for reasons, and QEMU is ended by QMP. grace_s: time for the guest to end by itself.
    kept: the log stays after the run, so reasons name it.
    """

    def __init__(
        self,
        machine: qemu.Machine,
        where: Where,
        log: Path,
        *,
        speaks: bool = True,
        grace_s: float = 5.0,
        kept: bool = False,
    ) -> None:
        self.machine = machine
        self.name = machine.kernel.name
        self.boot: Event = {}  # the first event of one of our images
        self.boot_ns: int | None = None  # when that event was read
        self._speaks = speaks
        self._grace_s = grace_s if speaks else 0.0
        self._log = log if kept else None
        self._words: deque[str] = deque(maxlen=_WORDS)
        self._telling = ""  # the last line that mentioned a failure
        self._error = ""  # the failure that the guest reported
        self._unread: deque[Event] = deque()
        self._stopped = False
        self._monitor = Monitor()
        try:
            argv = qemu.command(machine, console=log, monitor=self._monitor.descriptor)
            fds = (self._monitor.descriptor,)
            self._child = Child(argv, where, talks=True, pass_fds=fds, harmless=qemu.HARMLESS)
        except BaseException:
            self._monitor.close()
            raise
        self._monitor.inherited()
        self.started_ns = self._child.started_ns

    @property
    def pid(self) -> int:
        """Return QEMU's pid."""
        return self._child.pid

    def booted(self, timeout_s: float) -> Event:
        """Return the first event of one of our images; self.boot_ns is its time."""
        self._read_until(lambda: self.boot, timeout_s)
        return self.boot

    def event(self, timeout_s: float) -> Event:
        """Return the next event after the first; other lines are kept for reasons."""
        self._read_until(lambda: self._unread, timeout_s)
        return self._unread.popleft()

    def expect(self, name: str, timeout_s: float) -> Event:
        """Return the next event. ChildError: it has another name."""
        event = self.event(timeout_s)
        if event.get("event") != name:
            raise ChildError(self._reason(f"printed {event.get('event')!r}, not {name!r}"))
        return event

    def pin(self, cpus: Sequence[int]) -> None:
        """Pin each vCPU's thread to a core; the last core takes the remaining threads."""
        threads = self._monitor.vcpu_threads(START_S)
        for number, thread in enumerate(threads):
            pin(thread, {cpus[min(number, len(cpus) - 1)]})

    def counters(self, timeout_s: float = COUNTERS_S) -> Event:
        """Request the counters of one of our images, and wait for them."""
        for line in self._child.take():
            self._take(line)
        # Counters that are there already are not an answer to this request.
        others = [event for event in self._unread if not is_counters(event)]
        self._unread.clear()

        def listen(left_s: float) -> Event | None:
            event = self.event(left_s)
            if is_counters(event):
                return event
            others.append(event)
            return None

        try:
            return answered(self.name, lambda: self._child.tell(b"c"), listen, timeout_s)
        finally:
            self._unread.extendleft(reversed(others))

    def failed(self) -> str | None:
        """Return why it does not serve: the guest's error, QEMU's end, or no network; or None."""
        ended = self._child.failed()
        for line in self._child.take():
            self._take(line)
        if ended is not None:
            return self._reason(ended)
        if self._error:
            return self._reason("")
        why = qemu.given_up(self._child.stderr_tail())
        return None if why is None else self._reason(why)

    def said(self) -> str:
        """Return the serial line's last output, also an unfinished line, and the log's path."""
        with contextlib.suppress(ChildError):  # what cannot be read is left out
            for line in self._child.take():
                self._take(line)
        text = " / ".join(filter(None, (*self._words, self._begun())))
        if not text:
            return "" if self._speaks else "; its serial line (COM1) printed nothing"
        if len(text) > _SAID_CHARS_MAX:
            text = "…" + text[-_SAID_CHARS_MAX:]
        if self._telling not in text:
            text = f"{self._telling} … {text}"
        rest = f" (all of it: {self._log})" if self._log else ""
        return f"; its serial line ended with {text!r}{rest}"

    def guest_rss_bytes(self) -> int | None:
        """Return the resident part of the guest's memory, in bytes."""
        return mapping_rss_bytes(self.pid, self.machine.memory_bytes)

    def own_rss_bytes(self) -> int | None:
        """Return QEMU's own resident memory in bytes, without the guest's."""
        whole, guest = rss_bytes(self.pid), self.guest_rss_bytes()
        return None if whole is None or guest is None else whole - guest

    def resident_bytes(self, address: int, size_bytes: int) -> int | None:
        """Return the resident part of a range of guest-physical memory, in bytes."""
        return memfd_resident_bytes(self.pid, self.machine.memory_bytes, address, size_bytes)

    def stop(self) -> list[Event]:
        """End the guest, else QEMU, else kill. Return the unread events."""
        if self._stopped:
            return []
        self._stopped = True
        try:
            if self._child.running():
                if self._grace_s:
                    self._child.tell(b"q")
                if not self._child.wait(self._grace_s):
                    self._monitor.quit(_QUIT_S)
                    self._child.wait(_QUIT_S)
            for line in self._child.finish(lambda: None, 0):
                self._take(line)
            return list(self._unread)
        finally:
            self._child.stop()
            self._monitor.close()

    def __enter__(self) -> Vm:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read_until(self, there: Callable[[], object], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        late = f"printed nothing for {timeout_s:g} s"  # lines that are not events do not count
        while not there():
            if self._error:
                raise ChildError(self._reason(""))
            left_s = deadline - time.monotonic()
            try:
                self._take(self._child.line(max(0.0, left_s)))
            except SilentError as error:
                raise SilentError(self._reason(late)) from error
            except ChildError as error:
                raise ChildError(self.failed() or str(error)) from error
            if left_s <= -_TALKED_ON_S and not there():
                raise SilentError(self._reason(late))

    def _take(self, line: bytes) -> None:
        text = line.strip(b"\r\0 ")
        if not (self._speaks and text.startswith(b"{")):
            if words := _words(text):
                self._words.append(words)
                if _TELLING.search(words):
                    self._telling = words
            return
        event = parse(self.name, text)
        if event.get("event") == "boot":
            self.boot, self.boot_ns = event, time.monotonic_ns()
            if not self._stopped:  # else it is ending; only its output is still read
                self._child.tell(b"t%d\n" % time.time_ns())  # its clock has whole seconds only
        elif event.get("event") == "failed":
            self._error = str(event.get("error"))
        else:
            self._unread.append(event)

    def _reason(self, what: str) -> str:
        """Return one line: the guest's error, or what happened and the last output."""
        if self._error:
            return f"{self.name} failed: {self._error}"
        return f"{self.name}: {what}{self.said()}"

    def _begun(self) -> str:
        """Return an unfinished line, e.g. a prompt, or where a guest stopped."""
        begun = self._child.unfinished().strip(b"\r\0 ")
        return "" if self._speaks and begun.startswith(b"{") else _words(begun)


def _words(text: bytes) -> str:
    """Return the end of a line, without colours."""
    end = text[-_SAID_CHARS_MAX:].decode(errors="replace")
    return " ".join(_CONTROL.sub(" ", end).split())
