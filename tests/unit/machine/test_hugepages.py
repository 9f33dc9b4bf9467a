"""The pool of huge pages: raised, read back, shared, and left as it was before."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dead import journal_of, long_ago
from nearmetal.machine import hugepage_claims
from nearmetal.machine.journal import Journal, clean
from nearmetal.machine.memory import hugepages
from nearmetal.machine.memory.hugepages import PAGE_BYTES
from nearmetal.machine.processes import owner
from nearmetal.machine.records import Record
from nearmetal.machine.undo import undo

POOL = "sys/kernel/mm/hugepages/hugepages-2048kB"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with 512 pages set by its user, 100 of them free, 10 of these reserved."""
    folder = tmp_path / "machine" / POOL
    folder.mkdir(parents=True)
    for name, value in (("nr", 512), ("free", 100), ("resv", 10)):
        (folder / f"{name}_hugepages").write_text(f"{value}\n")
    return tmp_path / "machine"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal", owner.current())


@pytest.fixture(autouse=True)
def none_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No spare pages, so that the sums below are the pages that each test requests."""
    monkeypatch.setattr(hugepages, "SPARE_PAGES", 0)


def total(root: Path) -> int:
    return int((root / POOL / "nr_hugepages").read_text())


def test_what_is_there_is_read(root: Path, tmp_path: Path) -> None:
    assert hugepages.pool(root) == hugepages.Pool(total=512, free=90)
    assert hugepages.pool(tmp_path / "nothing") is None
    assert [hugepages.pages(n) for n in (0, 1, PAGE_BYTES, PAGE_BYTES + 1)] == [0, 1, 1, 2]


def test_raised_by_what_is_needed_and_brought_back(root: Path, journal: Journal) -> None:
    with hugepages.reserved(journal, 7 * PAGE_BYTES, root) as free_bytes:
        assert total(root) == 519
        assert free_bytes == 90 * PAGE_BYTES  # the value of the machine, not the number requested
    assert total(root) == 512
    assert not list(journal.directory.rglob("*.json"))


def test_some_are_to_spare(root: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program may take a page before our server starts."""
    monkeypatch.setattr(hugepages, "SPARE_PAGES", 8)
    with hugepages.reserved(journal, 7 * PAGE_BYTES, root):
        assert total(root) == 512 + 7 + 8
    assert total(root) == 512


def test_the_last_one_leaves_what_the_first_one_met(root: Path, journal: Journal) -> None:
    first = hugepages.reserved(journal, 7 * PAGE_BYTES, root)
    second = hugepages.reserved(journal, 3 * PAGE_BYTES, root)
    first.__enter__()
    second.__enter__()
    assert total(root) == 522
    first.__exit__(None, None, None)
    assert total(root) == 515
    second.__exit__(None, None, None)
    assert total(root) == 512


def test_what_others_change_meanwhile_stays(root: Path, journal: Journal) -> None:
    file = root / POOL / "nr_hugepages"
    with hugepages.reserved(journal, 7 * PAGE_BYTES, root):
        file.write_text(str(total(root) + 40))  # written by another program, which knows no claims
    assert total(root) == 552
    with hugepages.reserved(journal, 7 * PAGE_BYTES, root):
        file.write_text("3")  # it removes more pages than there were without our claim
    assert total(root) == 0


def test_pages_of_a_process_that_is_about_to_end_are_not_kept(
    root: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Surplus pages: they were removed from the pool, but are still mapped."""
    nr, surplus = (root / POOL / f"{name}_hugepages" for name in ("nr", "surplus"))
    nr.write_text("513")
    surplus.write_text("1")

    def kernel(file: Path, persistent: int) -> None:  # the kernel uses surplus pages first
        file.write_text(str(persistent))
        surplus.write_text("0")

    monkeypatch.setattr(hugepage_claims, "_set", kernel)
    with hugepages.reserved(journal, 7 * PAGE_BYTES, root):
        assert total(root) == 519
    assert total(root) == 512


def test_killed_in_the_act(root: Path, journal: Journal, tmp_path: Path) -> None:
    claim = tmp_path / "state" / "hugepages" / "1:1-0"
    claim.parent.mkdir(parents=True)
    for grown, left in ((0, 512), (3, 512), (9, 514)):  # 7 pages were requested
        claim.write_text("512 7\n")
        (root / POOL / "nr_hugepages").write_text(str(512 + grown))
        file = str(root / POOL / "nr_hugepages")
        undo(Record(kind="pages", what=str(claim), inside=file, owner=journal.owner))
        assert total(root) == left


def test_what_a_killed_one_left_is_undone(root: Path, journal: Journal) -> None:
    other = journal_of(long_ago(), journal.directory)
    with hugepages.reserved(other, 5 * PAGE_BYTES, root):
        assert total(root) == 517
        assert any("pages" in line for line in clean(journal.directory.parent))
        assert total(root) == 512
        assert clean(journal.directory.parent) == []
    assert total(root) == 512


def test_killed_before_it_raised_anything(root: Path, journal: Journal, tmp_path: Path) -> None:
    claims = tmp_path / "state" / "hugepages"
    claims.mkdir(parents=True)
    for text in ("", "512"):  # not written, or in part
        (claims / "1:1-0").write_text(text)
        file = str(root / POOL / "nr_hugepages")
        record = Record(kind="pages", what=str(claims / "1:1-0"), inside=file, owner=journal.owner)
        undo(record)
        undo(record)
        assert total(root) == 512


def test_nothing_wanted_or_no_pool_changes_nothing(
    root: Path, journal: Journal, tmp_path: Path
) -> None:
    with hugepages.reserved(journal, 0, root) as free_bytes:
        assert (total(root), free_bytes) == (512, 90 * PAGE_BYTES)
    with hugepages.reserved(journal, PAGE_BYTES, tmp_path / "nothing") as free_bytes:
        assert free_bytes == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any file")
def test_without_the_right_what_is_free_must_do(root: Path, journal: Journal) -> None:
    (root / POOL / "nr_hugepages").chmod(0o444)
    with hugepages.reserved(journal, 200 * PAGE_BYTES, root) as free_bytes:
        assert (total(root), free_bytes) == (512, 90 * PAGE_BYTES)


def test_claims_of_ended_namespaces(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims of a container that was killed with its /run: the kernel's folder still has them."""
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setattr(hugepage_claims, "_notes", lambda: contextlib.nullcontext(notes))
    monkeypatch.setattr(hugepage_claims, "_POOLS", (root / POOL).parent)
    file = root / POOL / "nr_hugepages"
    for name, wanted in (("dead-0", 5), ("dead-1", 2), ("living-0", 7)):
        hugepage_claims.take(tmp_path / name, file, wanted)
    hugepage_claims.give_back(tmp_path / "dead-1", file)
    assert total(root) == 524 and len(list(notes.iterdir())) == 2

    def given_back() -> list[tuple[str, bool]]:
        dead = hugepage_claims.give_back_of_the_dead(lambda name: name.startswith("dead"))
        return [(name, error is None) for name, error in dead]

    with monkeypatch.context() as read_only:
        read_only.setattr(os, "access", lambda path, mode: False)
        assert given_back() == [("dead-0", False)] and total(root) == 524
    assert given_back() == [("dead-0", True)] and given_back() == []
    assert total(root) == 519
    hugepage_claims.give_back(tmp_path / "dead-0", file)  # its container cleans later
    assert total(root) == 519 and not (tmp_path / "dead-0").exists()
    hugepage_claims.give_back(tmp_path / "living-0", file)
    assert total(root) == 512 and not list(notes.iterdir())


def test_the_kernel_has_one_folder_for_all_containers() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: the kernel's devtmpfs")
    with hugepage_claims._notes() as notes:
        if notes is None:
            pytest.skip("this root may not mount the kernel's devtmpfs, or there is none")
        here = notes.stat().st_ino
    code = "from nearmetal.machine.hugepage_claims import _notes\n"
    code += "with _notes() as notes: print(notes.stat().st_ino)"
    apart = ["unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc", "sh", "-c"]
    hidden = 'mount -t tmpfs none /dev && exec "$@"'
    done = subprocess.run(
        [*apart, hidden, "sh", sys.executable, "-c", code],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0 and "unshare" in done.stderr:
        pytest.skip(f"no namespaces can be made here: {done.stderr.strip()}")
    assert int(done.stdout) == here
