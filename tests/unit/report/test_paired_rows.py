"""Our rows compared with another tree's: figures worked out by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import made
import pytest
from rich.console import Console

from nearmetal import report
from nearmetal.report.against import PairedRow
from nearmetal.samples import Point, Sample
from nearmetal.spec.sweep import Sweep

OTHER = "0123abcd45"
BUILD = made.BUILD | {
    "name": None,
    "against": made.BUILD | {"name": OTHER, "commit": f"{OTHER}67", "dirty": False},
}


def side(against: str | None, rates: list[int], cycles: list[float | None]) -> list[Sample]:
    """Return one trial of host-sock kv per round."""
    return [
        made.sample("host-sock", "kv", number, counts=made.counts(3 * rate), against=against,
                    busy_cycles_per_reply=each)
        for number, (rate, each) in enumerate(zip(rates, cycles, strict=True))
    ]  # fmt: skip


def run(path: Path, trials: list[Sample], **state: Any) -> Path:
    known = made.DONE | {"unpaired": {"host-sock echo": f"{OTHER}: no nm-sock-echo"}} | state
    return made.folder(path / "run", made.spec("host-sock"), trials, known, build=BUILD)


OURS = side(None, [90_000, 300_000, 220_000], [900.0, 2_000.0, 1_100.0])
THEIRS = side(OTHER, [100_000, 200_000, 250_000], [1_000.0, 1_000.0, 1_000.0])


def kv_of(folder: Path) -> PairedRow:
    found = report.write(folder).against
    assert found is not None and found.rows[0].row == "host-sock kv"
    return found.rows[0]


def test_ratios_are_taken_pair_by_pair(tmp_path: Path) -> None:
    row = kv_of(run(tmp_path, [*OURS, *reversed(THEIRS)]))
    assert (row.status, row.pairs) == ("ok", 3)
    # 90/100, 300/200, 220/250; the ratio of both medians, 220/200, would be above 1.
    assert row.by_rate.pairs == pytest.approx((0.9, 1.5, 0.88))
    assert row.by_rate.median == pytest.approx(0.9)
    assert (row.by_rate.low, row.by_rate.high) == pytest.approx((0.88, 1.5))
    # 900, 2000, 1100 over 1000
    assert row.by_busy_cycles.pairs == pytest.approx((0.9, 2.0, 1.1))
    assert row.by_busy_cycles.median == pytest.approx(1.1)
    assert row.by_busy_cycles.interval == "minmax"


def test_our_rows_are_those_of_a_run_alone(tmp_path: Path) -> None:
    both = report.write(run(tmp_path / "both", [*OURS, *THEIRS]))
    (tmp_path / "alone").mkdir()
    alone = report.write(run(tmp_path / "alone", OURS))
    assert both.rows == alone.rows
    assert both.rows[0].rounds == 3


def test_from_seven_pairs_on_the_median_has_an_interval(tmp_path: Path) -> None:
    near = [1_000.0 + 10 * n for n in range(20)]
    ours = side(None, [100_000] * 20, [1.02 * each for each in near])
    theirs = side(OTHER, [100_000] * 20, [each + (n % 3) for n, each in enumerate(near)])
    row = kv_of(run(tmp_path, [*ours, *theirs]))
    cycles = row.by_busy_cycles
    assert (row.pairs, cycles.interval) == (20, "bca95")
    assert cycles.median is not None and cycles.low is not None and cycles.high is not None
    assert 1.018 < cycles.low <= cycles.median <= cycles.high <= 1.02
    assert (cycles.low, cycles.high) != (min(cycles.pairs), max(cycles.pairs))


def test_only_whole_pairs_count(tmp_path: Path) -> None:
    row = kv_of(run(tmp_path, [*OURS, *THEIRS[:2]], partial=True, reason="interrupted"))
    assert (row.status, row.pairs) == ("ok", 2)
    assert row.by_rate.median == pytest.approx(1.2)
    alone = kv_of(run(tmp_path / "alone", OURS, partial=True, reason="interrupted"))
    assert (alone.status, alone.pairs, alone.by_rate.median) == ("skipped", 0, None)
    assert alone.reason == "the run ended before its first pair: interrupted"


def test_cycles_that_one_side_does_not_know_are_left_out(tmp_path: Path) -> None:
    theirs = side(OTHER, [100_000] * 3, [None, 1_000.0, 1_000.0])
    row = kv_of(run(tmp_path, [*OURS, *theirs]))
    assert (row.pairs, len(row.by_rate.pairs)) == (3, 3)
    assert row.by_busy_cycles.pairs == pytest.approx((2.0, 1.1))


def wrong(against: str | None) -> Sample:
    return made.sample("host-sock", "kv", 2, counts=made.counts(9, wrong=1), against=against)


def test_a_row_that_failed_on_either_side_has_no_ratio(tmp_path: Path) -> None:
    theirs = run(tmp_path / "theirs", [*OURS, *THEIRS[:2], wrong(OTHER)])
    row = kv_of(theirs)
    assert (row.status, row.pairs, row.by_rate.median) == ("failed", 2, None)
    assert row.reason.startswith(f"{OTHER}: round 3: 1 wrong answers of 10")
    assert report.write(theirs).rows[0].status == "ok"
    assert report.write(theirs).failed
    row = kv_of(run(tmp_path / "ours", [*OURS[:2], wrong(None), *THEIRS]))
    assert (row.status, row.by_rate.median) == ("failed", None)
    assert row.reason.startswith("round 3: 1 wrong")


def test_what_has_no_pair_says_why(tmp_path: Path) -> None:
    found = report.write(run(tmp_path, [*OURS, *THEIRS, made.sample("host-sock", "echo")])).against
    assert found is not None
    echo = found.rows[1]
    assert (echo.row, echo.status, echo.pairs) == ("host-sock echo", "skipped", 0)
    assert echo.reason == f"{OTHER}: no nm-sock-echo"


def test_points_are_paired_with_their_like_and_a_schedule_is_no_rate(tmp_path: Path) -> None:
    points = (Point(), Point(rate_per_s=7.0))
    trials = [
        made.sample("host-sock", "kv", point=point, against=against, busy_cycles_per_reply=cycles)
        for point, against, cycles in (
            (points[0], None, 1_000.0), (points[0], OTHER, 2_000.0),
            (points[1], None, 3_000.0), (points[1], OTHER, 2_000.0),
        )
    ]  # fmt: skip
    chosen = made.spec("host-sock").model_copy(update={"sweep": Sweep(axis="rate", points=points)})
    folder = made.folder(tmp_path / "run", chosen, trials, made.DONE, build=BUILD)
    found = report.write(folder).against
    assert found is not None
    closed, opened = found.rows[:2]
    assert (closed.by_busy_cycles.median, closed.by_rate.median) == (0.5, 1.0)
    assert (opened.by_busy_cycles.median, opened.by_rate.median) == (1.5, None)


def test_every_form_shows_them(tmp_path: Path) -> None:
    folder = run(tmp_path, [*OURS, *THEIRS, made.sample("host-sock", "echo")])
    result = report.write(folder)
    console = Console(width=100, record=True, file=(tmp_path / "terminal").open("w"))
    console.print(report.pairs(result))
    text = " ".join(console.export_text().split())
    assert f"against {OTHER}" in text
    assert "host-sock kv 3 0.900 0.880 - 1.500 1.100 0.900 - 2.000" in text
    assert f"host-sock echo skipped: {OTHER}: no nm-sock-echo" in text
    page = (folder / "report.html").read_text()
    ElementTree.fromstring(page[page.index("<html") :])
    assert f"<h2>Against {OTHER}</h2>" in page
    assert '1.100<span class="range">0.900 to 2.000</span>' in page
    assert "against.name" not in page  # the other build's facts are not listed as ours
    loaded = json.loads((folder / "report.json").read_text())["against"]
    assert (loaded["name"], loaded["rows"][0]["by_rate"]["median"]) == (OTHER, pytest.approx(0.9))
    with (folder / "report.csv").open(newline="") as file:
        kv, echo = csv.DictReader(file)
    assert (kv["against.pairs"], kv["against.by_busy_cycles.median"]) == ("3", "1.1")
    assert (echo["against.status"], echo["against.by_rate.median"]) == ("skipped", "")


def test_a_floor_is_told(tmp_path: Path) -> None:
    idle = [each.model_copy(update={"sut_core": made.core(0, idle_s=1.0)}) for each in OURS]
    folder = run(tmp_path, [*idle, *THEIRS])
    result = report.write(folder)
    assert result.against is not None and result.against.rows[0].floor is True
    assert (
        "generator-bound: the rate is a floor, compare the cycles"
        in (folder / "report.html").read_text()
    )
    console = Console(width=100, record=True, file=(tmp_path / "terminal").open("w"))
    console.print(report.pairs(result))
    assert "- 2.000  floor" in console.export_text()


def test_a_run_without_another_tree_has_nothing_of_it(mixed: Path) -> None:
    result = report.write(mixed)
    assert result.against is None and report.pairs(result) is None
    assert "Against" not in (mixed / "report.html").read_text()
    assert "against" not in (mixed / "report.csv").read_text().splitlines()[0]
