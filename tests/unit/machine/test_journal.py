"""Records of ended owners are undone, in reverse; those of running owners are not touched."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dead import abandon, written
from nearmetal.machine import journal, undo
from nearmetal.machine.journal import Journal
from nearmetal.machine.processes import owner
from nearmetal.machine.processes.owner import Owner
from nearmetal.machine.records import Kind, Record

HERE = owner.current()


def test_written_before_the_act_and_gone_after_the_undo(tmp_path: Path) -> None:
    value = tmp_path / "value"
    value.write_text("old\n")
    mine = Journal(tmp_path / "journal", HERE)
    with mine.holds("value", str(value), old="old", new="new"):
        assert len(written(tmp_path)) == 1 and value.read_text() == "old\n"
        value.write_text("new")
    assert value.read_text() == "old" and not written(tmp_path)
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
    assert value.read_text() == "old" and not written(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_undo_is_not_interrupted(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing = tmp_path / "thing"
    undone = undo._UNDO["path"]

    def pressed(record: Record) -> str | None:
        signal.raise_signal(number)
        signal.raise_signal(number)
        return undone(record)

    monkeypatch.setitem(undo._UNDO, "path", pressed)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            Journal(tmp_path / "journal", HERE).folder(thing),
        ):
            assert thing.is_dir()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not thing.exists() and not written(tmp_path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_an_interrupt_left_before_it_was_held(tmp_path: Path) -> None:
    thing = tmp_path / "thing"
    thing.write_text("made")
    abandon(tmp_path, HERE, "path", thing)
    mine = Journal(tmp_path / "journal", HERE)
    mine.close()
    mine.close()  # a second close does nothing
    assert not thing.exists() and not written(tmp_path)


def test_clean_undoes_in_reverse(tmp_path: Path, gone: Owner) -> None:
    value = tmp_path / "value"
    value.write_text("third")
    for old, new in ("first", "second"), ("second", "third"):  # the first value must be restored
        abandon(tmp_path, gone, "value", value, old=old, new=new)
    made = tmp_path / "made"
    made.mkdir()
    (made / "inside").touch()
    abandon(tmp_path, gone, "path", made)
    done = journal.clean(tmp_path)
    assert [line.split()[0] for line in done] == ["path", "value", "value"]
    assert value.read_text() == "first" and not made.exists()
    assert not written(tmp_path) and journal.clean(tmp_path) == []


def test_clean_leaves_the_living_alone(tmp_path: Path, gone: Owner) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.touch()
    theirs.touch()
    abandon(tmp_path, HERE, "path", mine)
    abandon(tmp_path, gone, "path", theirs)
    assert len(journal.clean(tmp_path)) == 1
    assert mine.exists() and not theirs.exists() and len(written(tmp_path)) == 1


def test_a_later_process_with_the_same_pid_is_another_owner(tmp_path: Path) -> None:
    thing = tmp_path / "thing"
    thing.touch()
    before = replace(HERE, started_ticks=HERE.started_ticks - 1)
    abandon(tmp_path, before, "path", thing)
    journal.clean(tmp_path)
    assert not thing.exists() and not written(tmp_path)


def test_a_record_cut_short_by_the_kill(tmp_path: Path, gone: Owner) -> None:
    thing = tmp_path / "thing"
    thing.touch()
    abandon(tmp_path, gone, "path", thing)
    (written(tmp_path)[0].parent / "000002.json").write_text('{"kind":"pa')
    journal.clean(tmp_path)
    assert not thing.exists() and not written(tmp_path)


def test_a_record_that_a_living_owner_is_writing(tmp_path: Path) -> None:
    folder = tmp_path / "journal" / str(HERE)
    folder.mkdir(parents=True)
    (folder / "000001.json").touch()
    assert journal.clean(tmp_path) == [] and len(written(tmp_path)) == 1


def test_a_thing_never_made_is_no_error(tmp_path: Path, gone: Owner) -> None:
    kinds: tuple[Kind, ...] = ("netns", "path", "value", "link", "module", "offload", "rings")
    for kind in kinds:
        inside = "never0" if kind == "offload" else None
        old = '{"rx":1,"tx":1}' if kind == "rings" else "old"
        abandon(tmp_path, gone, kind, tmp_path / "never", old=old, new=old, inside=inside)
    assert len(journal.clean(tmp_path)) == len(kinds)


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
            # Another `clean` may have killed the child before.
            assert marked.wait(timeout=120) == -9
            assert all(str(ours.pid) not in line for line in done)
            assert ours.poll() is None
        finally:
            ours.kill()


def test_what_another_process_namespace_owns_is_not_touched(tmp_path: Path) -> None:
    """A container's pid names no process here, or another one."""
    theirs = replace(HERE, started_ticks=HERE.started_ticks - 1, space=1)
    thing = tmp_path / "thing"
    thing.touch()
    abandon(tmp_path, theirs, "path", thing)
    marker = {owner.ENVIRONMENT: str(theirs)}
    with subprocess.Popen(["sleep", "60"], env=os.environ | marker) as child:
        told = journal.swept(tmp_path)
        assert child.poll() is None
        child.kill()
    assert thing.exists() and len(written(tmp_path)) == 1
    (line,) = [line for line in told.left if f"pid {theirs.pid} of process namespace 1," in line]
    assert line.startswith("1 record in ") and ", 1 process: " in line
    assert line.endswith("which may still run: its state cannot be read")


def test_another_boot_s_records_are_left_alone(tmp_path: Path) -> None:
    thing = tmp_path / "thing"
    thing.touch()
    abandon(tmp_path, replace(HERE, boot="a"), "path", thing)
    (told,) = [line for line in journal.swept(tmp_path).left if str(tmp_path) in line]
    assert "of another boot" in told and thing.exists()


def test_an_owner_is_read_back(gone: Owner) -> None:
    assert owner.parse(str(gone)) == gone
    older = f"{gone.pid}:{gone.started_ticks}"
    assert owner.parse(f"{older}:7") == Owner(gone.pid, gone.started_ticks, 7)
    assert owner.parse(older) == Owner(gone.pid, gone.started_ticks)
    for text in ("", "1", "1:x", "1:2:x", "1:2:", "1:2:3:/", "1:2:3:4:5"):
        assert owner.parse(text) is None


def test_what_older_releases_wrote(tmp_path: Path, gone: Owner) -> None:
    """Records named by a pid, with or without a namespace, without the identity of a path; and a
    folder that no release wrote."""
    old = replace(gone, boot=None)
    named, other, value = tmp_path / f"nm-{old.pid}-tap", tmp_path / "other", tmp_path / "value"
    for path in (named, other, value):
        path.write_text("new")
    told = {"pid": old.pid, "started_ticks": old.started_ticks, "space": old.space}
    for where, who in ((str(old), told), (f"{old.pid}:{old.started_ticks}", {"pid": 1})):
        folder = tmp_path / "journal" / where
        folder.mkdir(parents=True)
        for number, (kind, what) in enumerate(
            (("path", named), ("path", other), ("value", value), ("mount", other))
        ):
            told = {"kind": kind, "what": str(what), "old": "old", "inside": None, "owner": who}
            (folder / f"{number:06}.json").write_text(json.dumps(told))
    (tmp_path / "journal" / "what").mkdir()
    done = journal.swept(tmp_path)
    assert not named.exists() and other.exists() and value.read_text() == "old"
    assert [line.split(" ")[0] for line in done.undone] == ["value", "path"]
    left = "\n".join(done.left)
    for words in ("another release wrote it", f"{other}: it may not be ours", "namespace unknown"):
        assert words in left
    assert "journal/what: not the name of a nearmetal journal" in left


HOLDER = """
import sys
from pathlib import Path
from nearmetal.machine.journal import Journal
from nearmetal.machine.processes import owner
me = owner.Owner(owner.current().pid, 7, 1, owner.boot())  # no process has this pid and start
with Journal(Path(sys.argv[1]) / "journal", me).folder(Path(sys.argv[1]) / "thing"):
    print(flush=True)
    sys.stdin.readline()
"""


def test_its_lock_tells_whether_an_owner_lives(tmp_path: Path) -> None:
    """The lock works for any process namespace; the pid is not used."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        (told,) = [line for line in journal.swept(tmp_path).left if str(tmp_path) in line]
        assert told.endswith("process namespace 1, which runs") and (tmp_path / "thing").exists()
        holder.kill()
        holder.wait()
        (told,) = journal.clean(tmp_path)
    assert told == f"path {tmp_path}/thing (of {holder.pid})"
    assert not (tmp_path / "thing").exists() and not list((tmp_path / "journal").iterdir())


def test_two_journals_of_one_owner(tmp_path: Path) -> None:
    one, other = (Journal(tmp_path / "journal", replace(HERE, space=1)) for _ in range(2))
    with one.folder(tmp_path / "one"), other.folder(tmp_path / "other"):
        pass
    with one.folder(tmp_path / "one"):
        with other.folder(tmp_path / "other"):
            pass
        assert journal.clean(tmp_path) == [] and (tmp_path / "one").exists()
    assert not list((tmp_path / "journal").iterdir())


def test_two_at_once_undo_the_same_folder(tmp_path: Path, gone: Owner) -> None:
    folder = tmp_path / "folder"
    for number in range(300):
        (folder / str(number % 10)).mkdir(parents=True, exist_ok=True)
        (folder / str(number % 10) / str(number)).touch()
    abandon(tmp_path, gone, "path", folder)
    code = "import sys; from pathlib import Path; from nearmetal.machine import journal;"
    code += "journal.clean(Path(sys.argv[1]))"
    others = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(3)]
    assert [other.wait() for other in others] == [0, 0, 0]
    assert not folder.exists() and not written(tmp_path)
