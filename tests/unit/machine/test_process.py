"""Children: lines, time limits, reasons, and an end in all cases."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tool
from nearmetal.machine.memory.rss import rss_bytes
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.process import Child, ChildError, SilentError, Where, chain

LONG_S = 120.0


def shell(script: str) -> Child:
    return Child(["sh", "-c", script], Where())


def test_lines_and_the_rest() -> None:
    says = 'say() { echo "{\\"event\\":\\"$1\\"}"; }; trap \'say final; exit 0\' TERM; say ready; '
    with shell(says + "while :; do sleep 0.01; done") as child:
        assert child.expect("ready", LONG_S) == {"event": "ready"}
        assert child.stop() == [{"event": "final"}]
        assert child.stop() == []


def test_the_reason_is_what_it_said_last() -> None:
    with (
        shell("echo no such port >&2; exit 3") as child,
        pytest.raises(ChildError, match=r"^sh ended with exit code 3: no such port$"),
    ):
        child.event(LONG_S)


def test_silence_is_told_from_an_end() -> None:
    with shell("sleep 1000") as child, pytest.raises(SilentError, match=r"nothing for 0.05 s"):
        child.event(0.05)
        assert child.failed() is None


def test_what_is_not_json_is_shown() -> None:
    with shell("echo hello; sleep 1000") as child, pytest.raises(ChildError, match=r"hello"):
        child.event(LONG_S)


def test_another_event_than_due() -> None:
    with (
        shell('echo \'{"event":"final"}\'; sleep 1000') as child,
        pytest.raises(ChildError, match=r"printed 'final', not 'ready'"),
    ):
        child.expect("ready", LONG_S)


def test_who_ignores_sigterm_is_killed() -> None:
    with shell("trap '' TERM; echo '{\"event\":\"ready\"}'; while :; do sleep 0.01; done") as child:
        child.expect("ready", LONG_S)
        pid = child.pid
        child.stop(grace_s=0.1)
        assert not Path(f"/proc/{pid}").exists()


def test_its_children_end_with_it() -> None:
    with shell('sleep 1000 & echo "{\\"pid\\":$!}"; wait') as child:
        grandchild = os.pidfd_open(child.event(LONG_S)["pid"])
    assert select.select([grandchild], [], [], LONG_S)[0]
    os.close(grandchild)


def test_who_closed_its_output_is_waited_for() -> None:
    with (
        shell("exec >&-; trap 'exit 0' TERM; while :; do sleep 0.01; done") as child,
        pytest.raises(ChildError, match=r"closed its output"),
    ):
        child.event(0.2)
        assert child.stop() == []


def test_no_such_program() -> None:
    with Child(["nm-nowhere"], Where()) as child, pytest.raises(ChildError, match="nm-nowhere"):
        child.event(LONG_S)


def test_the_chain_reads_as_typed() -> None:
    line = chain(["prog", "--x"], Where(netns=Path("/run/ns"), cpu=3))
    assert " ".join(line) == (
        "nsenter --net=/run/ns taskset -c 3 setpriv --pdeathsig KILL prog --x"
    )


def test_marker_and_core() -> None:
    cpu = min(os.sched_getaffinity(0))
    with Child(["sh", "-c", "echo '{}'; sleep 1000"], Where(cpu=cpu)) as child:
        child.event(LONG_S)
        assert owner.marked_by(child.pid) == owner.current()
        assert os.sched_getaffinity(child.pid) == {cpu}
        assert (rss_bytes(child.pid) or 0) > 0
    assert rss_bytes(child.pid) is None


def test_children_end_with_us() -> None:
    code = (
        "from nearmetal.machine.processes.process import Child, Where\n"
        "import time; child = Child(['sleep', '1000'], Where()); print(child.pid, flush=True)\n"
        "time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        handle = os.pidfd_open(int(one.stdout.readline()))
        try:
            one.send_signal(signal.SIGKILL)
            tool.wait_until(lambda: not _runs(handle), "the child's end after its parent's", LONG_S)
        finally:
            os.close(handle)


def _runs(handle: int) -> bool:
    try:
        signal.pidfd_send_signal(handle, 0)
    except ProcessLookupError:
        return False
    return True
