"""A virtual machine, and testpmd, that talk without end: who waits for a word comes to an end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nearmetal.machine.processes.process import Child, ChildError, SilentError, Where
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.vm import Vm
from nearmetal.samples import Accelerator
from nearmetal.topology import testpmd

TALKS = "while echo words; do :; done"
NO_LINE = "while printf xxxxxxxx; do :; done"


@pytest.mark.parametrize("script", [TALKS, NO_LINE, "exec cat /dev/zero"])
def test_an_image_s_words_gain_no_time(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "command", lambda *_, **__: ["sh", "-c", script])
    machine = qemu.Machine(tmp_path / "image", "", 1 << 20, Accelerator(name="tcg", cpu="max"))
    vm = Vm(machine, Where(), tmp_path / "log", speaks=False)
    try:
        with pytest.raises((SilentError, ChildError)):
            vm.event(0.3)
    finally:
        vm._child.finish(lambda: None, 0)
        vm._monitor.close()


def test_a_machine_that_has_booted_is_told_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = r"""echo '{"event":"boot"}'; read -r line
        printf '{"event":"heard","line":"%s"}\n' "$line"; read -r end"""
    monkeypatch.setattr(qemu, "command", lambda *_, **__: ["sh", "-c", script])
    machine = qemu.Machine(tmp_path / "image", "", 1 << 20, Accelerator(name="tcg", cpu="max"))
    before_ns = time.time_ns()
    vm = Vm(machine, Where(), tmp_path / "log")
    try:
        line = vm.expect("heard", 60)["line"]
        assert line[0] == "t" and before_ns <= int(line[1:]) <= time.time_ns()
    finally:
        vm._child.finish(lambda: None, 0)
        vm._monitor.close()


@pytest.mark.parametrize(
    ("script", "said"), [(TALKS, "JSON"), ("exec cat /dev/zero", "without an end")]
)
def test_a_program_s_words_gain_no_time(script: str, said: str) -> None:
    with pytest.raises(ChildError, match=said), Child(["sh", "-c", script], Where()) as child:
        child.event(100)


def test_testpmd_s_words_gain_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testpmd, "START_S", 0.3)
    with pytest.raises(ChildError, match="did not come that far"):
        testpmd.Testpmd(["sh", "-c", TALKS], Where())
