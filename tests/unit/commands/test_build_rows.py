"""build of named rows: their programs only; an error if one of them is not available."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import pytest

from nearmetal.build import programs
from nearmetal.build.programs import Build, Program
from nearmetal.commands.build import build
from nearmetal.errors import BadInputError, CannotRunError
from nearmetal.spec.programs import programs_of_row, programs_of_serving
from nearmetal.spec.rungs import RUNGS, Rung
from nearmetal.spec.services import ServiceRow


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that build requests; nm-mmsg-echo cannot be built."""
    found: list[str] = []

    def made(
        wanted: Iterable[str] | None, *, progress: Callable[[str], None], own: Sequence[ServiceRow]
    ) -> Build:
        assert not own
        progress("compiling")
        found.extend(wanted or ["everything"])
        there = [name for name in found if name != "nm-mmsg-echo"]
        return Build(
            compiler="",
            flags="",
            isa="",
            commit=None,
            dirty=False,
            folder="",
            programs={name: Program(path=f"/b/{name}", image_bytes=7, sha256="") for name in there},
            missing={name: "no room" for name in found if name not in there},
        )

    monkeypatch.setattr(programs, "build", made)
    return found


def test_what_named_rows_start_is_built_once(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    build(["host-sock", "ukp-netdev"], as_json=True)
    assert len(asked) == len(set(asked))
    assert {"nm-sock-kv", "nm-load", "nm-ukp-netdev-kv", "nm-tender", "nm-relay"} <= set(asked)
    assert not any("mmsg" in name or "dpdk" in name for name in asked)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["program"] for line in lines] == asked
    assert lines[0] == {
        "program": asked[0],
        "image_bytes": 7,
        "path": f"/b/{asked[0]}",
        "missing": None,
    }


def test_a_named_row_that_cannot_be_had_is_an_error(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CannotRunError, match="no room"):
        build(["host-mmsg"], as_json=True)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["program"], last["missing"]) == ("nm-mmsg-echo", "no room")


def test_without_a_name_all_is_built_and_nothing_is_an_error(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    build([], as_json=False)
    assert asked == ["everything"]
    assert "everything" in capsys.readouterr().out


def test_a_row_that_is_none_is_bad_input(asked: list[str]) -> None:
    with pytest.raises(BadInputError, match="unknown rung"):
        build(["host-mmgs"], as_json=False)
    assert not asked


@pytest.mark.parametrize("rung", [r for r in RUNGS if r.absent is None], ids=lambda rung: rung.name)
def test_what_serve_starts_is_built_for_a_row(rung: Rung) -> None:
    assert set(programs_of_serving(rung, rung.services[0])) <= set(
        programs_of_row(rung, rung.services)
    )
