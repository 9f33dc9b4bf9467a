"""Export of the rows: nested in report.json, flat in report.csv."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from nearmetal.paths import write_whole
from nearmetal.report.model import Report
from nearmetal.report.row import Row
from nearmetal.report.words import name


def write_json(report: Report, path: Path) -> None:
    """Write the whole report as JSON."""
    write_whole(path, report.model_dump_json(indent=1) + "\n")


def write_csv(report: Report, path: Path) -> None:
    """Write one line per row; nested keys joined by a dot, null as an empty field, lists as JSON.

    paper_ratios: the ratios with this row on top; against.*: ratios of the row over another tree's.
    """
    lines = [
        flat(row) | {"paper_ratios": _ratios(report, row)} | _pairs(report, row)
        for row in report.rows
    ]
    names = list(dict.fromkeys(column for line in lines for column in line))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["run", *names], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"run": report.run, **line} for line in lines)
    write_whole(path, text.getvalue())


def _ratios(report: Report, row: Row) -> str:
    keys = {"question", "over", "ours", "by_busy_cycles", "paper", "accelerator", "note"}
    mine = [each for each in report.paper_ratios if each.row == name(row)]
    return json.dumps([each.model_dump(mode="json", include=keys) for each in mine])


def _pairs(report: Report, row: Row) -> dict[str, object]:
    """Columns against.*: only in a run with another tree's programs."""
    found = report.against.rows if report.against else ()
    known = {"status", "reason", "pairs", "by_rate", "by_busy_cycles"}
    mine = (each for each in found if each.row == name(row))
    return {
        f"against.{column}": value
        for each in mine
        for column, value in _cells(each.model_dump(mode="json", include=known)).items()
    }


def flat(row: Row) -> dict[str, object]:
    """Flatten a row: {"replies_per_s.median": ..., ...}."""
    dumped = row.model_dump(mode="json")
    del dumped["latency_ns"]["hdr"]  # useless in a spreadsheet
    # `paper` is the only object that may be null as a whole; its columns are always written.
    dumped["paper"] = dumped["paper"] or {"replies_per_s": None, "source": None}
    return _cells(dumped)


def _cells(dumped: Mapping[str, object]) -> dict[str, object]:
    cells: dict[str, object] = {}
    for column, value in dumped.items():
        if isinstance(value, dict):
            cells.update({f"{column}.{member}": inner for member, inner in value.items()})
        else:
            cells[column] = json.dumps(value) if isinstance(value, list) else value
    return cells
