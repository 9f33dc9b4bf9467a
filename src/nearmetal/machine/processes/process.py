"""Child processes: started in a namespace and on a core, read line by line, ended when we end.

A command line is a chain of small tools, each of which execs the next, so any user can repeat it:

    nsenter --net=FILE taskset -c 0 setpriv --pdeathsig KILL nm-sock-kv --listen ...

The process id stays the same through the chain. The kernel kills the child when its parent ends,
for any reason; a marker in the environment finds its descendants (see machine/journal.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine.processes import killed as oom
from nearmetal.machine.processes import owner, surroundings

Event = Mapping[str, Any]

_TAIL_BYTES = 2000
_LINE_BYTES_MAX = 16 << 20
START_S = 60.0  # until a program is ready; an emulated machine beside a busy loop needs 20
COUNTERS_S = 15.0  # an answer needs one turn of the server's loop, which a busy machine prolongs
_ASK_AGAIN_S = 1.0


@dataclass(frozen=True)
class Where:
    """Namespace and core of a child; None: those of this process."""

    netns: Path | None = None
    cpu: int | None = None


class ChildError(NearmetalError):
    """A child ended or misbehaved. The message ends with its last words on stderr."""


class GarbledError(ChildError):
    """A child printed a line that is not an event."""


class SilentError(ChildError):
    """A child runs but printed nothing within the time limit."""


class RefusedError(ChildError):
    """A child ended because of bad input: our programs report that by exit code 2."""

    exit_code = BadInputError.exit_code


class _FloodError(ChildError):
    """A child prints more than can be read."""


def chain(argv: Sequence[str | Path], where: Where) -> list[str]:
    """Return the command line: namespace (needs root), core, death signal, then the program."""
    line: list[str] = []
    if where.netns is not None:
        line += ["nsenter", f"--net={where.netns}"]
    if where.cpu is not None:
        line += ["taskset", "-c", str(where.cpu)]
    line += ["setpriv", "--pdeathsig", "KILL"]
    return line + [str(word) for word in argv]


def environment() -> dict[str, str]:
    """Return the environment for children.

    It is ours without the shell's variables (surroundings.py), plus the owner's marker.
    """
    return surroundings.of_programs(os.environ) | {owner.ENVIRONMENT: str(owner.current())}


_PIPE_BYTES = 1 << 20  # holds some seconds of lines that nothing reads


class Child:
    """A running program that prints JSON lines; with `talks` it also reads words from its stdin.

    pass_fds: descriptors that it inherits beside the usual three, with the same numbers.
    harmless: a line of stderr that contains one of these texts is not part of a failure's reason.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        where: Where,
        *,
        talks: bool = False,
        pass_fds: Sequence[int] = (),
        harmless: Sequence[str] = (),
    ) -> None:
        # The death signal follows the thread that forked, not the process.
        assert threading.current_thread() is threading.main_thread()
        words = [str(word) for word in argv]
        self.name = next(Path(word).name for word in words if word != "env" and "=" not in word)
        self._talks = talks
        self._harmless = tuple(harmless)
        self.command = chain(argv, where)
        self._killed_before = oom.out_of_memory()
        self.started_ns = time.monotonic_ns()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self._kept: deque[bytes] = deque()  # lines read from the child and not yet returned
        self._pending = b""
        try:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pipesize=_PIPE_BYTES,
                stderr=self._stderr,
                env=environment(),
                pass_fds=pass_fds,
                start_new_session=True,  # Ctrl-C reaches only us: we stop children in order
            )
        except OSError as error:
            self._stderr.close()
            raise ChildError(f"cannot start {self.command[0]}: {error.strerror}") from error
        # Readable once the child has ended. Reaped only in stop, so the pid is not reused before.
        self._ended = os.pidfd_open(self._popen.pid)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def fileno(self) -> int:
        """Return a descriptor that is readable after output or at the child's end."""
        return self._stdout()

    def event(self, timeout_s: float) -> Event:
        """Return the next JSON line. ChildError: the child ended, or the time is over."""
        return parse(self.name, self.line(timeout_s))

    def line(self, timeout_s: float) -> bytes:
        """Return the next line, for a program that prints other things too. Errors as in event."""
        deadline = time.monotonic() + timeout_s
        while (line := self._line()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise SilentError(self._reason(f"printed nothing for {timeout_s:g} s"))
            if not self._read(left):
                select.select([self._ended], [], [], left)
                raise self._end()
        return line

    def expect(self, name: str, timeout_s: float) -> Event:
        """Return the next event. ChildError: it has another name."""
        event = self.event(timeout_s)
        if event.get("event") != name:
            raise ChildError(self._reason(f"printed {event.get('event')!r}, not {name!r}"))
        return event

    def running(self) -> bool:
        return not select.select([self._ended], [], [], 0)[0]

    def counters(self, timeout_s: float = COUNTERS_S) -> Event:
        """Request the counters of one of our DUTs, and wait for them."""
        # Counters that are there already are not an answer to this request.
        self._kept.extend(line for line in self.take() if not is_counters(parse(self.name, line)))
        others: list[bytes] = []

        def listen(left_s: float) -> Event | None:
            line = self.line(left_s)
            if is_counters(event := parse(self.name, line)):
                return event
            others.append(line)
            return None

        try:
            return answered(self.name, lambda: os.kill(self.pid, signal.SIGUSR1), listen, timeout_s)
        finally:
            self._kept.extendleft(reversed(others))

    def stop(self, grace_s: float = 3.0) -> list[Event]:
        """Send SIGTERM, wait, send SIGKILL. Return the unread events. May be called twice."""
        lines = self.finish(self._popen.terminate, grace_s)
        return [] if self._talks else [parse(self.name, line) for line in lines]

    def say(self, words: str) -> None:
        """Send one line to a program that talks; nothing happens if it has ended."""
        self.tell(words.encode() + b"\n")

    def tell(self, data: bytes) -> None:
        """Send bytes to a program that talks; nothing happens if it has ended."""
        assert self._popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.write(data)
            self._popen.stdin.flush()

    def end_by(self, words: str, grace_s: float = 3.0) -> str:
        """End the program by words on its stdin, then SIGKILL. Return the unread lines."""
        return b"\n".join(self.finish(lambda: self.say(words), grace_s)).decode(errors="replace")

    def failed(self) -> str | None:
        """Return why it has ended, in words, or None while it runs. Do not call after stop."""
        status = self._status()
        if status is None:
            return None
        code, number = status
        killed = code != os.CLD_EXITED
        how = signal.Signals(number).name if killed else f"exit code {number}"
        if (killed and number == signal.SIGKILL) or "SIGKILL" in self.stderr_tail():
            how += oom.why(self._killed_before)  # the child itself, or a tender's data process
        return self._reason(f"ended with {how}")

    def _end(self) -> ChildError:
        """Return the error that explains why the output has ended."""
        if (reason := self.failed()) is None:
            return ChildError(self._reason("closed its output"))
        refused = self._status() == (os.CLD_EXITED, RefusedError.exit_code)
        return RefusedError(reason) if refused else ChildError(reason)

    def _status(self) -> tuple[int, int] | None:
        """Return how the child ended (waitid(2): code, status), or None while it runs."""
        found = os.waitid(os.P_PIDFD, self._ended, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return None if found is None else (found.si_code, found.si_status)

    def said(self) -> str:
        """Return its last words on stderr, to be added to an error of another program."""
        tail = self.stderr_tail()
        return f"; {self.name} printed: {tail}" if tail else ""

    def unfinished(self) -> bytes:
        """Return what it printed since the last end of a line."""
        return self._pending

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def finish(self, ask: Callable[[], None], grace_s: float) -> list[bytes]:
        """Request its end with `ask`, wait, send SIGKILL. Return the unread lines."""
        stdin, stdout = self._popen.stdin, self._popen.stdout
        assert stdout is not None
        if stdout.closed:
            return []
        try:
            if self.running():
                ask()
            self.wait(grace_s)
            with contextlib.suppress(_FloodError):  # the child is killed below
                return self.take()
            return []
        finally:
            # Kill its own children too: they are alone in its process group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
            os.close(self._ended)
            stdout.close()
            if stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    stdin.close()
            self._stderr.close()

    def wait(self, grace_s: float) -> bool:
        """Read until the program ends or the time is over. Whether it has ended."""
        deadline = time.monotonic() + grace_s
        waiting = [self._ended, self._stdout()]
        while self.running() and (left := deadline - time.monotonic()) > 0:
            select.select(waiting, [], [], left)
            try:
                if len(waiting) > 1 and not self._read(0):
                    waiting.pop()
            except _FloodError:
                self._pending = b""  # discard the flood, and keep waiting for the end
        return not self.running()

    def stderr_tail(self) -> str:
        """Return its last words on stderr, in one line."""
        # Read without moving the file's position, which the child shares.
        handle = self._stderr.fileno()
        said = os.pread(handle, _TAIL_BYTES, max(0, os.fstat(handle).st_size - _TAIL_BYTES))
        lines = said.decode(errors="replace").splitlines()
        telling = (line for line in lines if not any(words in line for words in self._harmless))
        return " ".join(" ".join(telling).split())

    def take(self) -> list[bytes]:
        """Return the lines that are there now, without waiting for more.

        One read takes all that a pipe holds.
        """
        self._read(0)
        lines = []
        while (line := self._line()) is not None:
            lines.append(line)
        return lines

    def _read(self, timeout_s: float) -> bool:
        """Read what is there, waiting for it at most timeout_s. False: the output has ended."""
        if not self._ready(timeout_s):
            return True
        piece = os.read(self._stdout(), _PIPE_BYTES)
        self._pending += piece
        if len(self._pending) > _LINE_BYTES_MAX:
            raise _FloodError(f"{self.name} printed {_LINE_BYTES_MAX} bytes without an end of line")
        return piece != b""

    def _ready(self, timeout_s: float) -> bool:
        return bool(select.select([self._stdout()], [], [], timeout_s)[0])

    def _stdout(self) -> int:
        assert self._popen.stdout is not None
        return self._popen.stdout.fileno()

    def _line(self) -> bytes | None:
        if not self._kept and b"\n" in self._pending:
            *whole, self._pending = self._pending.split(b"\n")  # all at once: there may be many
            self._kept.extend(whole)
        return self._kept.popleft() if self._kept else None

    def _reason(self, what: str) -> str:
        tail = self.stderr_tail()
        return f"{self.name} {what}" + (f": {tail}" if tail else "")


def parse(name: str, line: bytes) -> Event:
    """Parse a line that must be a JSON object. GarbledError: it is not."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise GarbledError(f"{name} printed a line that is not JSON: {line[:200]!r}")
    return event


def is_counters(event: Event) -> bool:
    return event.get("event") == "counters"


def answered(
    name: str, ask: Callable[[], None], listen: Callable[[float], Event | None], timeout_s: float
) -> Event:
    """Return the counters that `ask` requests. listen: wait for an event; None: another event.

    A request is a signal or a byte, and can be lost: two signals at once are merged, and a machine
    that boots does not listen. So the request is repeated every second until counters arrive.
    ChildError: none arrived within timeout_s.
    """
    deadline = time.monotonic() + timeout_s
    while (left_s := deadline - time.monotonic()) > 0:
        ask()
        again = time.monotonic() + min(_ASK_AGAIN_S, left_s)
        with contextlib.suppress(SilentError):
            while (left_s := again - time.monotonic()) > 0:
                if (event := listen(left_s)) is not None:
                    return event
    raise ChildError(f"{name} did not send its counters within {timeout_s:g} s")
