"""Agent and controller when the other side sends invalid data."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from nearmetal.errors import LostError
from nearmetal.machine.processes.process import Child, Where
from nearmetal.testbed.provider import Host
from nearmetal.testbed.remote_agent import Station

LIMIT_S = 120.0
LISTENER = """
import os, queue, threading
from nearmetal.testbed import agent
agent._listen(queue.SimpleQueue(), os.pipe()[1], threading.Lock())
"""


@pytest.mark.parametrize("words", [b"hello\n", b'{"id":\n', b"\xff\xfe\n"])
def test_an_agent_ends_when_it_gets_invalid_data(words: bytes) -> None:
    """The agent ends as at the end of its lease, although the connection stays."""
    argv = [sys.executable, "-c", LISTENER]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as listener:
        assert listener.stdin is not None
        listener.stdin.write(words)
        listener.stdin.flush()
        assert listener.wait(timeout=LIMIT_S) == -signal.SIGTERM


@pytest.mark.parametrize("words", ['{"other": 1}', "[1]", "hello"])
def test_a_controller_gives_up_an_invalid_agent(words: str) -> None:
    script = f"echo '{{\"alive\": true}}'; while echo '{words}'; do :; done"
    with Child(["sh", "-c", script], Where(), talks=True) as child:
        station = Station(Host("tg1", "there"), child)
        with pytest.raises(LostError, match="there"):
            station.ask("hello", LIMIT_S)
