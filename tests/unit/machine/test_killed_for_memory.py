"""Where the kernel ended a program for want of memory, the reason says so, and what to do."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from nearmetal.machine.processes import killed
from nearmetal.machine.processes.process import Child, Where


def machine(root: Path, *, kills: int, limits: dict[str, str], ours: str = "/a/b") -> Path:
    """The files of a machine; limits: memory.max by folder of the cgroup."""
    for name, text in (
        ("proc/vmstat", f"nr_free_pages 1\noom_kill {kills}\nzswpin 0\n"),
        ("proc/self/cgroup", f"1:name=x:/else\n0::{ours}\n"),
        *((f"sys/fs/cgroup/{folder}/memory.max", f"{text}\n") for folder, text in limits.items()),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"a/b": "max", "a": "67108864"}, "(a memory cgroup allows us 64 MiB)"),
        ({"a/b": "33554432", "a": "67108864"}, "allows us 32 MiB"),
        ({}, "for want of memory: give it more"),
    ],
)
def test_the_reason_has_its_cure(tmp_path: Path, limits: dict[str, str], said: str) -> None:
    root = machine(tmp_path, kills=4, limits=limits)
    assert killed.out_of_memory(root) == 4
    assert said in killed.why(3, root)
    assert "--memory" in killed.why(3, root)
    assert killed.why(4, root) == ""  # somebody else sent it


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert killed.out_of_memory(tmp_path) == 0
    assert killed.why(0, tmp_path) == ""


def test_a_child_that_it_met_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    kills = iter((0, 1))
    monkeypatch.setattr(killed, "out_of_memory", lambda *_: next(kills))
    with Child(["sh", "-c", "kill -KILL $$"], Where()) as child:
        assert child.wait(10)
        reason = child.failed()
    assert reason is not None
    assert reason.startswith("sh ended with SIGKILL, by the kernel, for want of memory")


def test_a_kill_that_was_sent_is_only_told() -> None:
    with Child(["sleep", "1000"], Where()) as child:
        signal.pidfd_send_signal(child._ended, signal.SIGKILL)
        assert child.wait(10)
        assert child.failed() == "sleep ended with SIGKILL"
