"""If the kernel killed a program for lack of memory, the reason says so, and what to do."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from nearmetal.build import meson
from nearmetal.errors import NearmetalError
from nearmetal.machine.processes import killed
from nearmetal.machine.processes.process import Child, ChildError, Where
from nearmetal.topology import testpmd


def machine(root: Path, *, kills: int, limits: dict[str, str], ours: str = "/a/b") -> Path:
    """Write the files of a machine. limits: memory.max by the cgroup's folder."""
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
        ({"a/b": "max", "a": "67108864"}, "(the limit of our memory cgroup is 64 MiB)"),
        ({"a/b": "33554432", "a": "67108864"}, "our memory cgroup is 32 MiB"),
        ({}, "which ran out of memory: give more memory"),
    ],
)
def test_the_reason_has_its_cure(tmp_path: Path, limits: dict[str, str], said: str) -> None:
    root = machine(tmp_path, kills=4, limits=limits)
    assert killed.out_of_memory(root) == 4
    assert said in killed.why(3, root)
    assert "--memory" in killed.why(3, root)
    assert killed.why(4, root) == ""  # another process sent the signal


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
    assert reason.startswith("sh ended with SIGKILL, by the kernel, which ran out of memory")


MET = "SIGKILL, by the kernel, which ran out of memory.*: give more memory, or request less"


@pytest.fixture
def one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's count of kills rises between the first and the second read."""
    kills = iter((0, 1))
    monkeypatch.setattr(killed, "out_of_memory", lambda *_: next(kills))


@pytest.mark.usefixtures("one_more")
def test_so_does_one_whose_other_half_it_met() -> None:
    """The tender reports the kill of its data process in this form."""
    script = "echo 'the data process was killed (signal 9, SIGKILL)' >&2; exit 1"
    with Child(["sh", "-c", script], Where()) as child:
        assert child.wait(60)
        reason = child.failed() or ""
    assert reason.startswith("sh ended with exit code 1, by the kernel, which ran out of memory")


@pytest.mark.usefixtures("one_more")
def test_so_does_testpmd() -> None:
    with pytest.raises(ChildError, match=f"testpmd ended with {MET}"):
        testpmd.Testpmd(["sh", "-c", "kill -KILL $$"], Where())


@pytest.mark.usefixtures("one_more")
@pytest.mark.parametrize(
    "script", ["kill -KILL $$", "echo 'fatal error: Killed signal terminated program cc1'; exit 1"]
)
def test_so_does_a_build(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NearmetalError, match="output is above"):
        meson.run(["sh", "-c", script], {}, "build")
    said = capsys.readouterr().err
    assert "by the kernel, which ran out of memory" in said and "--memory" not in said


def test_a_kill_that_was_sent_is_only_told() -> None:
    with Child(["sleep", "1000"], Where()) as child:
        signal.pidfd_send_signal(child._ended, signal.SIGKILL)
        assert child.wait(10)
        assert child.failed() == "sleep ended with SIGKILL"
