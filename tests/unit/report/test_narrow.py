"""The tables of a run at small widths: rows, rates and reasons stay."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import made
import pytest
from rich.console import Console

from nearmetal import report
from nearmetal.report.model import Report

ROWS = ("memcached", "host-sock", "guest-sock-vhost-net", "limit-veth")


@pytest.fixture
def run(tmp_path: Path) -> Report:
    trials = [
        *made.rounds("memcached", "kv", [200_000] * 3),
        *made.rounds("host-sock", "kv", [300_000, 100_000, 250_000]),
        *made.rounds("host-sock", "echo", [400_000] * 3),
        *made.rounds("guest-sock-vhost-net", "kv", [50_000] * 3),
    ]
    folder = made.folder(tmp_path / "narrow", made.spec(*ROWS), trials, made.DONE)
    return report.write(folder)


def _is(line: list[str], start: str, service: str) -> bool:
    return line[0].startswith(start) and line[1:2] == [service]


@pytest.mark.parametrize("width", [None, 110, 80, 60, 40])
def test_what_a_table_is_for_stays(run: Report, width: int | None) -> None:
    out = io.StringIO()
    Console(width=width or 10_000, file=out).print(report.table(run, width))
    text = out.getvalue()
    assert "…" not in text and "\x1b" not in text
    lines = [line.split() for line in text.splitlines()]
    for row in run.rows:
        if row.status == "ok":
            rate = report.terminal.count(row.replies_per_s.median).split()[0]
            start = row.rung[:9]  # at small widths a long name is continued below
            said = next(line for line in lines if line[:1] and _is(line, start, row.service))
            assert rate in said
            assert row.rung in text or width == 40
        else:
            assert f"{row.rung} {row.service} {row.status}: {row.reason}" in " ".join(text.split())
    assert all(len(line.rstrip()) <= (width or len(line)) for line in text.splitlines())


def test_the_columns_go_one_after_the_other(run: Report) -> None:
    def heads(width: int | None) -> list[str]:
        return [str(column.header) for column in report.table(run, width).columns]

    whole = heads(None)
    assert whole == heads(110)
    seen = [heads(width) for width in range(110, 39, -1)]
    for wider, narrower in itertools.pairwise(seen):
        assert set(narrower) <= set(wider)
    assert set(seen[-1]) >= {"row", "replies/s"}
    assert "low - high" not in heads(80) and "x memc." in heads(80)
