"""Run testpmd, DPDK's own forwarder: start it, wait until it forwards, stop it, read its counts.

testpmd forwards from its output line "Press enter to exit" on, until it reads a byte or the end of
its standard input. It then prints the counts of each port.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nearmetal.machine.processes import killed
from nearmetal.machine.processes.process import START_S, ChildError, Where, chain, environment

# Tell libxdp to load the XDP program without a dispatcher: then a killed testpmd leaves one program
# on the interface.
ALONE = "LIBXDP_SKIP_DISPATCHER=1"

_READY = b"Press enter to exit"
_END_S = 10.0
_TAIL_BYTES = 600
_OUTPUT_BYTES = 64 << 10  # end of the output to keep; the counts are printed last
_PORT = re.compile(
    r"Forward statistics for port (\d+) .*?"
    r"RX-packets: (\d+)\s+RX-dropped: (\d+).*?TX-packets: (\d+)\s+TX-dropped: (\d+)",
    re.DOTALL,
)


@dataclass(frozen=True)
class PortCounts:
    """Packets that one port received and sent, and those dropped for lack of room."""

    received: int
    received_dropped: int
    sent: int
    sent_dropped: int


class Testpmd:
    """A running testpmd, which forwards once the constructor has returned.

    Raises ChildError: it ended by itself, or did not forward in time.
    """

    def __init__(self, argv: Sequence[str], where: Where) -> None:
        # The parent-death signal is sent when the forking thread ends, not the process.
        assert threading.current_thread() is threading.main_thread()
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed by stop)
        self._output = b""
        self._killed_before = killed.out_of_memory()
        # Without line buffering the lines would arrive late: stdout to a pipe is block-buffered.
        command = chain(["stdbuf", "-oL", *argv], where)
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment(),
            start_new_session=True,  # Ctrl-C reaches only this process, which stops its children
        )
        try:
            self._wait_for(_READY, START_S)
        except BaseException:
            self._kill()
            raise

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait(self) -> str:
        """Wait until testpmd ends by itself; return the reason."""
        self._wait_for(None, None)
        return self._ended()

    def stop(self) -> tuple[PortCounts, ...]:
        """Stop testpmd; return the counts of each port. Raises ChildError: it did not end."""
        try:
            assert self._popen.stdin is not None
            with suppress(BrokenPipeError):
                self._popen.stdin.write(b"\n")
                self._popen.stdin.flush()
            self._wait_for(None, _END_S)
        finally:
            self._kill()
        return parse_counts(self._output.decode(errors="replace"))

    def __enter__(self) -> Testpmd:
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()

    def _wait_for(self, words: bytes | None, timeout_s: float | None) -> None:
        """Read output until it contains words; None: until the output ends. Raises ChildError."""
        assert self._popen.stdout is not None
        stdout = self._popen.stdout.fileno()
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while words is None or words not in self._output:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if left == 0 or not select.select([stdout], [], [], left)[0]:
                raise ChildError(self._reason(f"did not respond in {timeout_s} s"))
            piece = os.read(stdout, 1 << 16)
            if not piece:
                if words is not None:
                    raise ChildError(self._ended())
                return
            self._output = (self._output + piece)[-_OUTPUT_BYTES:]

    def _ended(self) -> str:
        """Wait for the end of the process, whose output has ended; return how it ended and why."""
        try:
            status = self._popen.wait(_END_S)
        except subprocess.TimeoutExpired:
            return self._reason("closed its output")
        how = f"exit code {status}" if status >= 0 else signal.Signals(-status).name
        if status == -signal.SIGKILL:
            how += killed.why(self._killed_before)
        return self._reason(f"ended with {how}")

    def _kill(self) -> None:
        if self._stderr.closed:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        self._stderr.close()

    def _reason(self, what: str) -> str:
        """Return the message, with the end of testpmd's output."""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _TAIL_BYTES))
        said = self._stderr.read() or self._output[-_TAIL_BYTES:]
        tail = " ".join(said.decode(errors="replace").split())
        return f"testpmd {what}" + (f": {tail}" if tail else "")


def parse_counts(text: str) -> tuple[PortCounts, ...]:
    """Return the counts in the statistics that testpmd prints at its end, in port order."""
    found = {
        int(port): PortCounts(*(int(count) for count in counts))
        for port, *counts in _PORT.findall(text)
    }
    return tuple(found[port] for port in sorted(found))


def program(path: Path, library_path: str | None) -> list[str]:
    """Return the start of testpmd's command line.

    library_path: folder of a fetched testpmd's libraries. Its drivers, and the XDP program of
    net_af_xdp, are in there too. None: testpmd is installed on the system.
    """
    if library_path is None:
        return ["env", ALONE, str(path)]
    there = [f"LD_LIBRARY_PATH={library_path}", f"LIBXDP_OBJECT_PATH={library_path}/bpf"]
    argv = ["env", *there, ALONE, str(path)]
    drivers = sorted(Path(library_path).glob("dpdk/pmds-*"))
    return [*argv, *(word for folder in drivers for word in ("-d", str(folder)))]
