"""A virtual machine, and testpmd: the reason has the last output; endless output delays nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nearmetal.machine.processes.process import Child, ChildError, Event, SilentError, Where
from nearmetal.machine.vm import qemu
from nearmetal.machine.vm.vm import Vm
from nearmetal.samples import Accelerator
from nearmetal.topology import testpmd
from nearmetal.trial import start

TALKS = "while echo words; do :; done"
NO_LINE = "while printf xxxxxxxx; do :; done"
BOOTED = r"printf 'SeaBIOS\r\n\033[1;32mPowered by\033[0m Unikraft\nNo RDSEED; \007halted'"
WAITS = "; cat >/dev/null"  # like a halted machine


@contextmanager
def running(script: str, folder: Path, *, speaks: bool = False, kept: bool = True) -> Iterator[Vm]:
    """A machine whose QEMU is a script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qemu, "command", lambda *_, **__: ["sh", "-c", script])
        machine = qemu.Machine(folder / "image", "", 1 << 20, Accelerator(name="tcg", cpu="max"))
        vm = Vm(machine, Where(), folder / "mine-kv.log", speaks=speaks, kept=kept)
    try:
        yield vm
    finally:
        vm._child.finish(lambda: None, 0)
        vm._monitor.close()


class Asks:
    """A generator that gives up, or prints nothing."""

    name = "nm-load-vhost"

    def __init__(self, vm: Vm, error: type[ChildError]) -> None:
        self._vm, self._error = vm, error

    def event(self, timeout_s: float) -> Event:
        while "halted" not in self._vm.said():
            pass  # limited by the test's time-out
        raise self._error("nm-load-vhost ended with exit code 1: await: no right answer")


@pytest.mark.parametrize("script", [TALKS, NO_LINE, "exec cat /dev/zero"])
def test_an_image_s_words_gain_no_time(script: str, tmp_path: Path) -> None:
    with (
        running(script, tmp_path) as vm,
        pytest.raises((SilentError, ChildError)),
    ):
        vm.event(0.3)


@pytest.mark.parametrize("error", [ChildError, SilentError])
def test_an_image_that_is_not_heard_says_what_it_said_last(
    error: type[ChildError], tmp_path: Path
) -> None:
    """The generator's own reason first, then the end of the console's output, including an
    unfinished line, and the file with all of it."""
    with running(BOOTED + WAITS, tmp_path) as vm, pytest.raises(ChildError) as caught:
        start.next_event(Asks(vm, error), vm, 0.1)
    said = str(caught.value)
    assert said.startswith("nm-load-vhost ") and "\x1b" not in said and "\n" not in said
    assert "ended with 'SeaBIOS / Powered by Unikraft / No RDSEED; halted'" in said
    assert said.endswith(f"(all of it: {tmp_path / 'mine-kv.log'})")


def test_so_does_one_whose_qemu_ends(tmp_path: Path) -> None:
    lines = "; ".join(f"echo line {number} {'x' * 90}" for number in range(20))
    with running(f"{lines}; {BOOTED}; exit 3", tmp_path) as vm:
        vm._child.wait(60)
        said = vm.failed() or ""
    assert "ended with exit code 3" in said and "No RDSEED; halted'" in said
    assert f"(all of it: {tmp_path / 'mine-kv.log'})" in said
    assert "line 19" in said and "line 2 " not in said and len(said) < 900


def test_a_panic_is_reported_despite_later_output(tmp_path: Path) -> None:
    trace = "; ".join(f"echo '[ 1.{n}] ? do_it+0x{n}/0x9'" for n in range(30))
    script = f"echo booting; echo 'Kernel panic - not syncing: no root'; {trace}; exit 0"
    with running(script, tmp_path) as vm:
        vm._child.wait(60)
        said = vm.failed() or ""
    assert "ended with 'Kernel panic - not syncing: no root … " in said and "0x29/0x9'" in said
    assert "booting" not in said


def test_silence_is_said_and_no_file_is_named_that_goes(tmp_path: Path) -> None:
    with running("exec cat", tmp_path) as vm:
        assert vm.said() == "; its serial line (COM1) printed nothing"
    with running(BOOTED + WAITS, tmp_path, kept=False) as vm:
        while "halted" not in vm.said():
            pass
        assert "all of it" not in vm.said()


def test_the_events_of_an_image_of_ours_are_no_words(tmp_path: Path) -> None:
    script = (
        r"""printf '{"event":"boot"}\n{"event":"re'; read t; read _; printf '\npanic\n'; cat >&2"""
    )
    with running(script, tmp_path, speaks=True) as vm:
        vm.booted(60)
        assert vm.said() == ""
        vm._child.tell(b"\n")
        with pytest.raises(ChildError, match="JSON"):
            vm.event(60)  # the rest of that line
        while not (said := vm.said()):
            pass
        assert "'panic'" in said


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


def test_one_that_is_stopped_before_it_was_heard_is_told_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first line is read with the last ones, when the machine has ended."""
    script = """echo '{"event":"boot"}'; head -c 1 >/dev/null; echo '{"event":"final"}'"""
    monkeypatch.setattr(qemu, "command", lambda *_, **__: ["sh", "-c", script])
    machine = qemu.Machine(tmp_path / "image", "", 1 << 20, Accelerator(name="tcg", cpu="max"))
    vm = Vm(machine, Where(), tmp_path / "log")
    assert [event["event"] for event in vm.stop()] == ["final"]
    assert vm.boot == {"event": "boot"}


@pytest.mark.parametrize(
    ("script", "said"), [(TALKS, "JSON"), ("exec cat /dev/zero", "without an end")]
)
def test_a_program_s_words_gain_no_time(script: str, said: str) -> None:
    with pytest.raises(ChildError, match=said), Child(["sh", "-c", script], Where()) as child:
        child.event(100)


def test_a_program_that_is_not_heard_says_what_it_said_last() -> None:
    with Child(["sh", "-c", "echo no room >&2; echo; exec cat"], Where(), talks=True) as child:
        child.line(60)
        assert child.said() == "; sh printed: no room"


def test_testpmd_s_words_gain_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testpmd, "START_S", 0.3)
    with pytest.raises(ChildError, match="did not respond in"):
        testpmd.Testpmd(["sh", "-c", TALKS], Where())
