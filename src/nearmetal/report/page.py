"""report.html: one file, no network, read by people. The figures are the report's own, unrounded
ones are in report.json.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from nearmetal import labels
from nearmetal.report import figures, words
from nearmetal.report.folder import Facts
from nearmetal.report.model import Report
from nearmetal.rows import Row
from nearmetal.stats import MEMCACHED_RUNG

# Facts whose unit deserves another form than the bare number.
SIZES = ("_bytes",)


def write_html(report: Report, path: Path) -> None:
    """Render the page."""
    environment = Environment(
        loader=PackageLoader("nearmetal.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=words.count,
        whole=words.whole,
        us=words.microseconds,
        ms=words.milliseconds,
        per_million=words.per_million,
        ratio=words.ratio,
        share=words.share,
        size=words.size,
    )
    drawn = [
        (caption, Markup(svg))  # our own SVG: its texts were escaped by its writer
        for caption, svg in figures.svgs(report)
    ]
    page = environment.get_template("page.html").render(
        report=report,
        rows=report.rows,
        measured=[row for row in report.rows if row.status == "ok"],
        counted=[row for row in report.rows if row.sent is not None],
        drawn=drawn,
        short=findings(report.rows),
        shared=labels.shared(report.rows),
        setting=setting(report),
        machine=facts(report.machine),
        build=facts({name: fact for name, fact in report.build.items() if name != "programs"}),
        unknown=words.UNKNOWN,
    )
    path.write_text(page, encoding="utf-8")


def findings(rows: tuple[Row, ...]) -> list[str]:
    """The few sentences a reader came for; nothing where the rows do not carry them."""
    found = []
    bound = {row.rung for row in rows if row.generator_bound and row.service == "kv"}
    ranked = [row for row in rows if row.place != "reference" and row.vs_memcached.per_sut_core_s]
    for row in sorted(ranked, key=lambda row: -(row.vs_memcached.per_sut_core_s or 0)):
        floors = [name for name in (row.rung, MEMCACHED_RUNG) if name in bound]
        floor = f" (a floor: the rate of {' and '.join(floors)})" if floors else ""
        found.append(
            f"{row.rung} answers {_times(row.vs_memcached.per_sut_core_s)} as many requests "
            f"per second of its core as memcached, and {_times(row.vs_memcached.by_rate)} "
            f"by rate{floor}."
        )
    bad = [f"{row.rung} {row.service}" for row in rows if row.status == "failed"]
    if bad:
        found.append(f"Failed: {', '.join(bad)}.")
    return found


def _times(value: float | None) -> str:
    return words.UNKNOWN if value is None else f"{value:.2f} times"


def setting(report: Report) -> list[tuple[str, str]]:
    """How it was measured, as term and text."""
    spec, load, top = report.spec, report.spec.workload, report.topology
    keys = "uniform" if load.zipf is None else f"Zipf {load.zipf:g}"
    notes = top.get("notes")
    return [
        (
            "Workload",
            f"{load.name}: {load.keys:,} keys ({keys}), {load.key_bytes}-byte keys, "
            f"{load.value_bytes}-byte values, {load.get * 100:g} % GET, {load.set * 100:g} % SET, "
            f"{load.miss * 100:g} % GET of absent keys",
        ),
        ("Load", f"closed loop, window {spec.window}, {load.flows} flows"),
        (
            "Rounds",
            f"{spec.rounds} (interleaved), each with a fresh server, {spec.warmup_s:g} s warm-up "
            f"and {spec.measured_s:g} s measured; seed {spec.seed}",
        ),
        ("Wire", _known(top.get("wire"))),
        (
            "Cores",
            f"under test {_known(top.get('sut_cpu'))}, generator {_known(top.get('tg_cpu'))}",
        ),
        ("Placement", _known(top.get("placement"))),
        ("Generator ceiling", _ceilings(report.rows)),
        ("Notes", "; ".join(map(str, notes)) if isinstance(notes, list) and notes else "none"),
        ("Time", f"{_known(report.started_utc)} to {_known(report.finished_utc)}"),
    ]


def _ceilings(rows: tuple[Row, ...]) -> str:
    known = sorted({row.generator_ceiling_per_s for row in rows if row.generator_ceiling_per_s})
    found = ", ".join(f"{ceiling:,.0f} replies/s against the null responder" for ceiling in known)
    return found or "unknown: the null responder gave no figure in this run"


def _known(value: object) -> str:
    return words.UNKNOWN if value is None else str(value)


def facts(values: Facts) -> list[tuple[str, str]]:
    """A free dictionary as term and text; nested ones are joined by a dot."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if name == "version":  # of the file's form, no fact of the run
            continue
        if isinstance(value, dict):
            found += [(f"{name}.{inner}", text) for inner, text in facts(value)]
        elif isinstance(value, list):
            found.append((name, ", ".join(str(item) for item in value)))
        elif isinstance(value, int) and name.endswith(SIZES):
            found.append((name, f"{words.size(value)} ({value:,} bytes)"))
        else:
            found.append((name, _known(value)))
    return found
