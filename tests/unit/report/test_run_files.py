"""The files of a run are complete or absent; a full disk is reported, and no trial is lost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nearmetal import bench, samples
from nearmetal.errors import BadInputError, FullError
from nearmetal.paths import append_whole, write_whole
from nearmetal.report import folder as folders
from nearmetal.samples import Sample

LIMIT_BYTES = 10_000
HERE = Path(__file__).parent


@contextmanager
def no_file_larger(size_bytes: int) -> Iterator[None]:
    """Limit file sizes like `ulimit -f`: the kernel returns EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def failed(number: int, reason: str = "") -> Sample:
    return Sample(
        rung="host-sock",
        service="kv",
        round=number,
        status="failed",
        reason=reason,
        started_utc="2026-11-22T10:00:00.000+00:00",
    )


def test_a_file_is_replaced_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    write_whole(file, "old")
    with no_file_larger(LIMIT_BYTES):
        with pytest.raises(FullError, match=r"run\.json: File too large; .*ulimit -f"):
            write_whole(file, "x" * (LIMIT_BYTES + 1))
        assert file.read_text() == "old"
        write_whole(file, "new")
    assert file.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]  # no temporary file is left


def test_a_line_is_added_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    with no_file_larger(LIMIT_BYTES):
        append_whole(file, "x" * 7000)
        with pytest.raises(FullError, match=r"samples\.jsonl: File too large"):
            append_whole(file, "y" * 7000)
        append_whole(file, "z")
    assert file.read_text() == "x" * 7000 + "\nz\n"


def test_a_finished_line_outlives_the_signal_that_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    file = tmp_path / "samples.jsonl"
    append_whole(file, "first")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            append_whole(file, "second")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            append_whole(file, "third")
    assert file.read_text() == "first\nsecond\n"


def test_another_error_names_its_file(tmp_path: Path) -> None:
    for act in (write_whole, append_whole):
        with pytest.raises(OSError, match="nowhere") as told:
            act(tmp_path / "nowhere" / "file", "text")
        assert not isinstance(told.value, FullError)


@pytest.mark.parametrize(
    "cut",
    [b'{"rung": "host-so', b"\0" * 300, "{µ".encode()[:-1]],
    ids=["half", "zeros", "half a letter"],
)
def test_a_line_that_was_cut_off_is_left_out_and_said(cut: bytes, mixed: Path) -> None:
    file = mixed / "samples.jsonl"
    before = list(samples.read(file))
    with file.open("ab") as out:
        out.write(cut)
    assert list(samples.read(file)) == before
    read = folders.read(mixed)
    assert read.samples == tuple(before)
    assert read.state.partial and folders.TORN in read.state.reason


def test_a_line_in_the_midst_is_named(tmp_path: Path) -> None:
    file = tmp_path / "samples.jsonl"
    samples.append(file, failed(0))
    with file.open("ab") as out:
        out.write(b"\xff\n")
    samples.append(file, failed(1))
    with pytest.raises(BadInputError, match=r"samples\.jsonl:2: "):
        list(samples.read(file))


def test_what_cannot_be_reported_yet_is_kept(tmp_path: Path) -> None:
    said = bench._partial(tmp_path)  # there is no spec.json
    assert "is kept, but not reported" in said and f"nearmetal report {tmp_path}" in said


# On a disk of 256 KiB: samples until it is full, then a report, and one after space is freed.
FULL_DISK = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import made
from nearmetal import report, samples
from nearmetal.errors import FullError
from nearmetal.paths import write_whole

folder = Path(sys.argv[1])
(folder / "filler").write_bytes(bytes(100_000))
write_whole(folder / "spec.json", made.spec("host-sock").model_dump_json())
write_whole(folder / "run.json", '{"partial": true}')
file, taken = folder / "samples.jsonl", 0
try:
    while taken < 10_000:
        samples.append(file, made.sample("host-sock", number=taken % 3))
        taken += 1
except FullError as error:
    print(error)
assert 0 < taken < 10_000 and len(list(samples.read(file))) == taken
assert not samples.is_torn(file)
for act in (lambda: report.write(folder), lambda: write_whole(folder / "run.json", "{}" * 9999)):
    try:
        act()
    except FullError as error:
        print(error)
assert (folder / "run.json").read_text() == '{"partial": true}'
assert not list(folder.glob(".*")), list(folder.iterdir())
(folder / "filler").unlink()
report.write(folder)
print(sorted(path.name for path in folder.iterdir()))
"""


def test_on_a_disk_that_is_full_what_was_measured_stays(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=256k tmpfs "$1" && shift && exec "$@"'
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(disk)]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    argv = [sys.executable, "-c", FULL_DISK, str(disk), str(HERE)]
    done = subprocess.run([*apart, *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{disk}/samples.jsonl: No space left on device; free some")
    assert all("No space left on device; free some" in line for line in lines[:3]), lines
    assert "report.html" in lines[3]
