"""The table of datapaths: the content of a row, and what follows from a row without other edits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nearmetal.errors import BadInputError
from nearmetal.paths import source_root
from nearmetal.spec import datapaths
from nearmetal.spec.programs import program_of
from nearmetal.spec.rungs import RUNGS

TABLE = datapaths.datapaths()
ROW = "fast frames polls own host,ukp liburing liburing-dev batch=16 io_uring"


def read(folder: Path, text: str) -> tuple[datapaths.Datapath, ...]:
    (folder / "table").write_text(text, encoding="utf-8")
    return datapaths.read(folder / "table")


def test_a_row(tmp_path: Path) -> None:
    (row,) = read(tmp_path, f"# a table\n\n{ROW}\n")
    assert (row.name, row.level, row.turn, row.nic) == ("fast", "frames", "polls", "own")
    assert (row.places, row.library, row.group) == (("host", "ukp"), "liburing", "liburing-dev")
    assert (row.package, row.needs) == ("liburing-dev", ("io_uring",))
    assert (row.batch, row.segment, row.in_frames, row.is_python) == (16, False, True, False)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROW.replace("frames", "packets"), "level: Input should be 'datagram' or 'frames'"),
        (ROW.replace("polls", "spins"), "turn: Input should be"),
        (ROW.replace("own", "mine"), "nic: Input should be"),
        (ROW.replace("ukp", "moon"), "places.1: Input should be"),
        (ROW.replace("batch", "bunch"), "bunch: Extra inputs are not permitted"),
        (ROW.replace("16", "many"), "batch: Input should be a valid integer"),
        (ROW.replace("io_uring", "moon"), "needs.0: Input should be"),
        (ROW.replace(" batch=16", ""), "8 columns, but the table has 9 (name level"),
        (ROW + " more", "10 columns, but the table has 9"),
    ],
)
def test_a_wrong_row_is_one_line_that_says_where(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(said)) as caught:
        read(tmp_path, f"# a table\n{ROW}\n{row}\n")
    assert str(caught.value).startswith(f"{tmp_path}/table:3: ")
    assert "\n" not in str(caught.value)


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="none: cannot be read"):
        datapaths.read(tmp_path / "none")
    (tmp_path / "bytes").write_bytes(b"\xff\n")
    with pytest.raises(BadInputError, match="bytes: cannot be read"):
        datapaths.read(tmp_path / "bytes")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_row_has_its_file(row: datapaths.Datapath) -> None:
    native = source_root() / "native"
    files = [native / "datapath", native / "frames", source_root() / "src/nearmetal/kv"]
    names = {path.name for folder in files for path in folder.iterdir()}
    assert f"{row.name}.c" in names or (row.is_python and "server.py" in names)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_row_has_a_rung_in_each_of_its_places(row: datapaths.Datapath) -> None:
    there = {(rung.place, rung.name) for rung in RUNGS if rung.datapath == row.name}
    assert there >= {(place, f"{place}-{row.name}") for place in row.places}


def test_the_names_of_programs_lead_back_to_their_rows() -> None:
    for rung in RUNGS:
        if rung.uses is not None and rung.absent is None and not rung.uses.is_python:
            program = program_of(rung, "kv")
            assert datapaths.of_program(program) == rung.uses
    assert datapaths.of_program("nm-tender") is None
    assert datapaths.of_program("nm-load-vhost") is None


def test_each_row_has_a_section() -> None:
    text = (source_root() / "docs/rungs.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^## ([a-z0-9_-]+)", text, re.MULTILINE))
    assert {row.name for row in TABLE if not row.is_python} <= sections
