"""Stage 6: the report of a run, made only from the files of its folder.

`write` may be called any number of times on the same folder. report.json and report.csv have every
figure, report.html is for reading, ladder.svg for documents and slides, `table` for the terminal.
Page and picture need the extra `report` (jinja2, matplotlib).
"""

from __future__ import annotations

from pathlib import Path

from nearmetal.errors import NearmetalError
from nearmetal.report import export
from nearmetal.report.folder import read
from nearmetal.report.model import Report, make
from nearmetal.report.terminal import pairs, ratios, table

__all__ = ["Report", "pairs", "ratios", "table", "write"]


def write(folder: Path, *, pdf: bool = False) -> Report:
    """Write report.json, report.csv, report.html and ladder.svg (pdf: also figures/*.pdf) into a
    run's folder.

    NearmetalError: the extra `report` is not installed.
    """
    report = make(read(folder))
    export.write_json(report, folder / "report.json")
    export.write_csv(report, folder / "report.csv")
    try:
        from nearmetal.report import ladder, page, plots
    except ImportError as error:
        raise NearmetalError(
            f"report.json and report.csv are written, report.html and ladder.svg need {error.name}:"
            " install nearmetal[report]"
        ) from error
    page.write_html(report, folder / "report.html")
    ladder.write(report.run, report.rows, folder)
    if pdf:
        plots.write_pdf(report, folder / "figures")
    return report
