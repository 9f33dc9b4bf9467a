"""The tables and the output that README.md and docs/results.md show are those of the run that they
name, figure by figure.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from rich.console import Console

import documents
from nearmetal.paths import source_root
from nearmetal.report import ladder, terminal
from nearmetal.report.model import Report
from nearmetal.spec import experiment

ROOT = source_root()
PAGES = ("README.md", "docs/results.md")
SCALES = {"": 1.0, "K": 1e3, "M": 1e6}
NUMBER = r"([\d,]+(?:\.\d+)?)(?: ([KM]))?"
WIDE = 200  # columns: no word of a table is wrapped
# Title of a column -> column of report.csv, and its unit in the unit of the page.
FIGURES = {
    "p50 µs": ("latency_ns.p50", 1e3),
    "p99 µs": ("latency_ns.p99", 1e3),
    "busy cycles per reply": ("busy_cycles_per_reply", 1.0),
    "program, bytes": ("resources.image_bytes", 1.0),
    "beyond the store, bytes": ("rss_beyond_budget_bytes", 1.0),
    "start, ms": ("resources.start_ms", 1.0),
    "system calls": ("resources.syscalls_per_million", 1.0),
}
RATE = "replies/s, median (low to high)"
OVER = re.compile(r"(?:per core-second, )?over memcached")

Line = dict[str, str]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def run_of(page: str) -> str:
    """The run whose table a page shows: the first that it names."""
    found = re.search(r"[Rr]un `(\d{8}T\d{6}Z-quick)`", text_of(page))
    assert found is not None, page
    return found[1]


def measured(run: str) -> dict[tuple[str, str], Line]:
    """The rows of a committed run that have figures, by rung and service."""
    with (ROOT / f"data/runs/{run}.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    return {(row["rung"], row["service"]): row for row in rows}


def tables(page: str) -> list[list[Line]]:
    """Every table of a page whose first column is `row`, as one dictionary for each line."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text_of(page), re.MULTILINE):
        heads, _, *lines = ([cell.strip() for cell in line[1:-1].split("|")]
                            for line in block.splitlines())  # fmt: skip
        if heads[0] == "row":
            found.append([dict(zip(heads, line, strict=True)) for line in lines])
    return found


def agrees(shown: str, value: str, unit: float = 1.0) -> bool:
    """Whether a figure is the value, to as many digits as the figure has."""
    found = re.match(NUMBER, shown)
    assert found is not None, shown
    digits = found[1].replace(",", "")
    places = len(digits.partition(".")[2])
    exact = float(value) / unit / SCALES[found[2] or ""]
    return abs(float(digits) - exact) <= 0.500001 * 10**-places


def has_figure(shown: str, value: str, unit: float = 1.0) -> bool:
    """Whether a cell shows the value; an empty cell, that there is none."""
    return bool(shown) == bool(value) and (not shown or agrees(shown, value, unit))


def has_rate(shown: str, row: Line) -> bool:
    rate = shown.removeprefix("≥ ")
    if (rate != shown) != (row["generator_bound"] == "True"):
        return False
    between = re.search(rf"\({NUMBER} to {NUMBER}\)", rate)
    if between is None:
        return agrees(rate, row["replies_per_s.median"]) and (
            rate.endswith("(one round)") and row["rounds"] == "1"
        )
    low, high = between[0][1:].split(" to ")
    return (
        agrees(rate, row["replies_per_s.median"])
        and agrees(low, row["replies_per_s.low"])
        and agrees(high, row["replies_per_s.high"])
    )


def has_ratio(shown: str, row: Line, wire: str) -> bool:
    over = row["vs_memcached.per_sut_core_s"]
    return has_figure(shown, over) and shown.endswith("†") == bool(over and row["wire"] != wire)


@pytest.mark.parametrize("page", PAGES)
def test_its_figures_are_those_of_the_run(page: str) -> None:
    run = measured(run_of(page))
    wire = run["memcached", "kv"]["wire"]
    shown = [line for table in tables(page) for line in table]
    assert shown
    for line in shown:
        row = run[line["row"], line.get("service", "kv")]
        for head, cell in line.items():
            what = (page, line["row"], head, cell)
            if head in FIGURES:
                assert has_figure(cell, row[FIGURES[head][0]], FIGURES[head][1]), what
            elif head == RATE:
                assert has_rate(cell, row), what
            elif OVER.fullmatch(head):
                assert has_ratio(cell, row, wire), what
            elif head == "wire":
                assert cell == row["wire"], what
            elif head == "what it is":
                assert cell.endswith(f"on `{row['wire']}`"), what
            else:
                assert head in ("row", "service"), what


def test_both_pages_show_the_same_run_and_one_of_them_every_row() -> None:
    assert run_of("README.md") == run_of("docs/results.md")
    rows = measured(run_of("README.md"))
    whole, costs = tables("docs/results.md")
    assert [(line["row"], line["service"]) for line in whole] == list(rows)
    assert [line["row"] for line in costs] == [rung for rung, service in rows if service == "kv"]
    (six,) = tables("README.md")
    assert len(six) == 6 and {(line["row"], line["service"]) for line in six} <= set(rows)


def test_the_output_is_what_a_terminal_shows_of_that_run(tmp_path: Path) -> None:
    """README.md shows lines of it; `...` stands for others."""
    run, rows = ladder.read_csv(ROOT / f"data/runs/{run_of('README.md')}.csv")
    report = Report(
        run=run,
        spec=experiment.load(ROOT / "specs/quick.toml"),
        machine={"cpu": "a processor"},
        partial=False,
        reason="",
        rows=rows,
        started_utc=None,
        finished_utc=None,
        topology={},
        build={},
        comparisons=(),
    )
    console = Console(width=WIDE, record=True, file=(tmp_path / "out").open("w"))
    console.print(terminal.table(report, WIDE))
    lines = console.export_text().splitlines()
    said = "\n".join(line for line in lines if line.strip(" ─"))
    shown = documents.shown("README.md", run)
    assert documents.shape(shown.replace("\n\n", "\n")).search(f"{said}\n"), said
    for line in filter(str.strip, shown.splitlines()):
        assert "..." in line or " ".join(line.split()) in " ".join(said.split()), line


def test_a_wrong_figure_is_found() -> None:
    assert agrees("1.23 M", "1234567") and not agrees("1.24 M", "1234567")
    assert has_figure("", "") and not has_figure("", "1") and not has_figure("1", "")
    row = measured(run_of("README.md"))["host-mmsg", "kv"]
    assert not has_rate("252 K (252 K to 269 K)", row)  # it is a floor
    assert not has_rate("≥ 252 K (252 K to 270 K)", row)
    assert not has_ratio("2.43 x †", row, row["wire"])
