"""What dead owners left is undone, in reverse; what living ones hold is not touched."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearmetal.errors import BadInputError
from nearmetal.machine import journal
from nearmetal.machine.journal import Journal
from nearmetal.machine.processes import lock, owner
from nearmetal.machine.processes.owner import Owner

HERE = owner.current()


@pytest.fixture
def gone() -> Owner:
    """An owner that has ended."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        status = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ended = Owner(child.pid, int(status[19]))
        assert owner.alive(ended)
        child.kill()
    assert not owner.alive(ended)
    return ended


def abandon(directory: Path, who: Owner, kind: journal.Kind, what: Path, old: str | None) -> None:
    """Write a record as a killed owner leaves it."""
    record = journal.Record(kind=kind, what=str(what), old=old, owner=who)
    journal._write(directory / "journal" / str(who), record)


def records(directory: Path) -> list[Path]:
    return sorted((directory / "journal").rglob("*.json"))


def test_written_before_the_act_and_gone_after_the_undo(tmp_path: Path) -> None:
    thing = tmp_path / "thing"
    mine = Journal(tmp_path / "journal", HERE)
    with mine.holds("path", str(thing)):
        assert len(records(tmp_path)) == 1 and not thing.exists()
        thing.write_text("made")
    assert not thing.exists() and not records(tmp_path)
    assert not list((tmp_path / "journal").iterdir())


def test_undone_when_the_body_fails(tmp_path: Path) -> None:
    value = tmp_path / "value"
    value.write_text("old\n")
    with (
        contextlib.suppress(KeyboardInterrupt),
        journal.changed(Journal(tmp_path / "journal", HERE), value, "new"),
    ):
        assert value.read_text() == "new"
        raise KeyboardInterrupt
    assert value.read_text() == "old" and not records(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_undo_is_not_interrupted(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing = tmp_path / "thing"
    undo = journal._UNDO["path"]

    def pressed(record: journal.Record) -> None:
        signal.raise_signal(number)
        signal.raise_signal(number)
        undo(record)

    monkeypatch.setitem(journal._UNDO, "path", pressed)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            Journal(tmp_path / "journal", HERE).holds("path", str(thing)),
        ):
            thing.write_text("made")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not thing.exists() and not records(tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_an_interrupt_left_before_it_was_held(tmp_path: Path) -> None:
    thing = tmp_path / "thing"
    thing.write_text("made")
    abandon(tmp_path, HERE, "path", thing, None)
    mine = Journal(tmp_path / "journal", HERE)
    mine.close()
    mine.close()  # nothing is left to do
    assert not thing.exists() and not records(tmp_path)


def test_clean_undoes_in_reverse(tmp_path: Path, gone: Owner) -> None:
    value = tmp_path / "value"
    value.write_text("third")
    for old in ("first", "second"):  # changed twice: the first value must come back
        abandon(tmp_path, gone, "value", value, old)
    made = tmp_path / "made"
    made.mkdir()
    (made / "inside").touch()
    abandon(tmp_path, gone, "path", made, None)
    done = journal.clean(tmp_path)
    assert [line.split()[0] for line in done] == ["path", "value", "value"]
    assert value.read_text() == "first" and not made.exists()
    assert not records(tmp_path) and journal.clean(tmp_path) == []


def test_clean_leaves_the_living_alone(tmp_path: Path, gone: Owner) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.touch()
    theirs.touch()
    abandon(tmp_path, HERE, "path", mine, None)
    abandon(tmp_path, gone, "path", theirs, None)
    assert len(journal.clean(tmp_path)) == 1
    assert mine.exists() and not theirs.exists() and len(records(tmp_path)) == 1


def test_a_later_process_with_the_same_pid_is_somebody_else(tmp_path: Path) -> None:
    thing = tmp_path / "thing"
    thing.touch()
    before = Owner(HERE.pid, HERE.started_ticks - 1)
    abandon(tmp_path, before, "path", thing, None)
    journal.clean(tmp_path)
    assert not thing.exists() and not records(tmp_path)


def test_a_record_cut_short_by_the_kill(tmp_path: Path, gone: Owner) -> None:
    thing = tmp_path / "thing"
    thing.touch()
    abandon(tmp_path, gone, "path", thing, None)
    (records(tmp_path)[0].parent / "000002.json").write_text('{"kind":"pa')
    journal.clean(tmp_path)
    assert not thing.exists() and not records(tmp_path)


def test_a_record_that_a_living_owner_is_writing(tmp_path: Path) -> None:
    folder = tmp_path / "journal" / str(HERE)
    folder.mkdir(parents=True)
    assert journal.clean(tmp_path) == [] and folder.exists()
    (folder / "000001.json").touch()
    assert journal.clean(tmp_path) == [] and len(records(tmp_path)) == 1


def test_a_thing_never_made_is_no_error(tmp_path: Path, gone: Owner) -> None:
    for kind in ("netns", "mount", "path", "value", "link"):
        abandon(tmp_path, gone, kind, tmp_path / "never", "old")
    assert len(journal.clean(tmp_path)) == 5


@pytest.fixture
def marked(gone: Owner) -> Iterator[subprocess.Popen[bytes]]:
    """A child that carries the marker of an owner that has ended."""
    environment = os.environ | {owner.ENVIRONMENT: str(gone)}
    with subprocess.Popen(["sleep", "1000"], env=environment) as child:
        yield child
        child.kill()


def test_children_of_the_dead_are_ended(tmp_path: Path, marked: subprocess.Popen[bytes]) -> None:
    environment = os.environ | {owner.ENVIRONMENT: str(HERE)}
    with subprocess.Popen(["sleep", "1000"], env=environment) as ours:
        try:
            done = journal.clean(tmp_path)
            # A `clean` beside this one may have been at it first.
            assert marked.wait(timeout=120) == -9
            assert all(str(ours.pid) not in line for line in done)
            assert ours.poll() is None
        finally:
            ours.kill()


HOLDER = (
    "import sys; from pathlib import Path\n"
    "from nearmetal.machine.processes.lock import machine_lock\n"
    "with machine_lock(Path(sys.argv[1])): print(flush=True); sys.stdin.readline()"
)


@contextlib.contextmanager
def holding(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the machine until it reads a line."""
    command = [sys.executable, "-c", HOLDER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield holder


def test_lock_names_the_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lock.WAIT)
    with holding(tmp_path) as holder:
        says = rf"pid {holder.pid} since 2.* \(-c"
        with pytest.raises(lock.BusyError, match=says), lock.machine_lock(tmp_path):
            pass
        holder.kill()
    with lock.machine_lock(tmp_path):  # a killed holder holds nothing
        pass


def test_lock_is_waited_for_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lock.WAIT, "1")
    with holding(tmp_path) as holder:
        with pytest.raises(lock.BusyError, match=f"pid {holder.pid}"), lock.machine_lock(tmp_path):
            pass
        monkeypatch.setenv(lock.WAIT, "60")
        assert holder.stdin is not None
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        with lock.machine_lock(tmp_path):
            assert str(os.getpid()) in (tmp_path / "lock").read_text()
    monkeypatch.setenv(lock.WAIT, "long")
    with pytest.raises(BadInputError, match="whole number"), lock.machine_lock(tmp_path):
        pass


def test_lock_is_given_back(tmp_path: Path) -> None:
    for _ in range(2):
        with lock.machine_lock(tmp_path):
            assert str(os.getpid()) in (tmp_path / "lock").read_text()


def test_what_another_process_namespace_owns_is_not_touched(tmp_path: Path) -> None:
    """A container's pid is nobody here, or somebody else."""
    theirs = Owner(HERE.pid, HERE.started_ticks - 1, HERE.space + 1)
    thing = tmp_path / "thing"
    thing.touch()
    abandon(tmp_path, theirs, "path", thing, None)
    marker = {owner.ENVIRONMENT: str(theirs)}
    with subprocess.Popen(["sleep", "60"], env=os.environ | marker) as child:
        journal.clean(tmp_path)
        assert child.poll() is None
        child.kill()
    assert thing.exists() and len(records(tmp_path)) == 1


def test_an_owner_is_read_back(gone: Owner) -> None:
    assert owner.parse(str(gone)) == gone
    assert owner.parse(f"{gone.pid}:{gone.started_ticks}") == gone, "an older release's"
    for text in ("", "1", "1:x", "1:2:3:4", "1:2:"):
        assert owner.parse(text) is None


def test_two_at_once_undo_the_same_folder(tmp_path: Path, gone: Owner) -> None:
    folder = tmp_path / "folder"
    for number in range(300):
        (folder / str(number % 10)).mkdir(parents=True, exist_ok=True)
        (folder / str(number % 10) / str(number)).touch()
    abandon(tmp_path, gone, "path", folder, None)
    code = "import sys; from pathlib import Path; from nearmetal.machine import journal;"
    code += "journal.clean(Path(sys.argv[1]))"
    others = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [other.wait() for other in others] == [0, 0, 0]
    assert not folder.exists() and not records(tmp_path)
