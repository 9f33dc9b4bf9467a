"""The table of services, and its use elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearmetal.errors import BadInputError
from nearmetal.kv import corpus, server_options
from nearmetal.paths import source_root
from nearmetal.spec import rungs, services

COMPILED = {"user", "unwatched"}  # of what users' services are linked with


def test_every_row_has_its_files() -> None:
    folder = source_root() / "native" / "service"
    for row in services.SERVICES:
        for name in (row.name, *row.sources):
            assert (folder / f"{name}.c").is_file(), f"{row.name}: no {name}.c"
        assert row.corpus in corpus.CORPORA
        assert row.twin is None or not services.find(row.twin).stores


def test_every_c_file_is_of_a_row() -> None:
    named = {name for row in services.SERVICES for name in (row.name, *row.sources)}
    there = {path.stem for path in (source_root() / "native" / "service").glob("*.c")}
    assert there - COMPILED == named


def test_pythons_server_has_those_that_name_it() -> None:
    module = server_options.__name__.removesuffix("_options")
    here = [row.name for row in services.SERVICES if row.python == module]
    assert here == list(server_options.SERVICES)


def test_rungs_have_every_service_but_where_a_program_is_foreign_or_pythons() -> None:
    for rung in rungs.RUNGS:
        if rung.place != "reference":
            known = services.IN_PYTHON if rung.datapath == "py" else services.NAMES
            assert rung.services == known, rung.name


def test_a_table_is_read_as_it_stands(tmp_path: Path) -> None:
    table = tmp_path / "services"
    table.write_text("# a comment\n\nmirror a,b echo g c,d e bytes - - 0072b2  # one more\n")
    (row,) = services.read(table)
    assert (row.name, row.sources, row.twin, row.python) == ("mirror", ("a", "b"), None, None)
    assert not row.stores
    assert (row.counters, row.drops) == (("g", "c", "d"), ("e",))


@pytest.mark.parametrize(
    "line",
    [
        "mirror - echo - - - bytes - -",  # one column too few
        "mirror - echo - - - bytes - - 0072b2 more",
        "mirror - http - - - bytes - - 0072b2",
        "Mirror - echo - - - bytes - - 0072b2",
        "mirror - echo - - - bytes - - blue",
        "mirror - echo - Got - bytes - - 0072b2",
        "mirror - echo - longer_than_15_b - bytes - - 0072b2",
        "mirror - echo - - a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q bytes - - 0072b2",
        f"mirror - echo g {','.join(f'c{at}' for at in range(16))} - bytes - - 0072b2",
    ],
)
def test_a_wrong_line_is_refused(tmp_path: Path, line: str) -> None:
    table = tmp_path / "services"
    table.write_text(line)
    with pytest.raises(BadInputError, match="services:1: "):
        services.read(table)


def test_an_unknown_name_is_told_with_those_that_are_known() -> None:
    with pytest.raises(BadInputError, match=r"unknown service 'http'.*known: "):
        services.find("http")
