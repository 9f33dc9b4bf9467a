"""report.html: the report for people, in one file that needs no network.

Figures are rounded; report.json has them in full.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from nearmetal.machine.tune.apply import Applied
from nearmetal.paths import write_whole
from nearmetal.report import caveats, plots, templates, words
from nearmetal.report.findings import findings
from nearmetal.report.folder import Facts, wires
from nearmetal.report.model import Report
from nearmetal.report.paper import lettered, sided
from nearmetal.report.row import Row
from nearmetal.spec import sweep
from nearmetal.spec.experiment import Spec, Workload

SIZES = "_bytes"  # in the names of facts that are shown as a size
APART = ("programs", "name", "against")  # keys of build.json that are not facts of the build


def write_html(report: Report, path: Path) -> None:
    """Render the page."""
    write_whole(path, _environment().get_template("page.html").render(_context(report)))


def _environment() -> Environment:
    environment = templates.environment()
    environment.filters.update(
        at=words.at,
        count=words.count,
        cycles=words.cycles,
        loss=words.loss,
        whole=words.whole,
        us=words.microseconds,
        ms=words.milliseconds,
        per_million=words.per_million,
        paired=words.paired,
        ratio=words.ratio,
        share=words.share,
        size=words.size,
    )
    environment.filters["sided"] = sided
    environment.tests["across_wires"] = caveats.across_wires
    environment.globals.update(per_s=per_s, generator_cycles=generator_cycles)
    return environment


def _context(report: Report) -> dict[str, object]:
    sweep = report.spec.sweep
    return {
        "report": report,
        "rows": report.rows,
        "closed": [row for row in report.rows if row.loop == "closed"],
        "opened": [row for row in report.rows if row.loop == "open"],
        "measured": [row for row in report.rows if row.status == "ok"],
        "counted": [row for row in report.rows if row.sent is not None],
        "swept": sweep is not None,
        "tended": any(row.resources.tender_image_bytes for row in report.rows),
        "virtual": any(row.resources.vmm_image_bytes for row in report.rows),
        "beside": {  # columns without any figure are left out
            "memcached": any(row.vs_memcached.by_rate for row in report.rows),
            "twin": any(row.vs_echo.by_rate for row in report.rows),
            "paper": sweep is None and any(row.paper for row in report.rows),
        },
        "load": words.load(report.spec),
        "paper_ratios": report.paper_ratios if sweep is None else (),
        "letters": lettered(report.paper_ratios),
        "wires": wires(report.topology),
        "drawn": [
            (caption, Markup(svg))  # safe: matplotlib escaped the texts
            for caption, svg in plots.svgs(report)
        ],
        "short": findings(report.rows, sweep.axis if sweep else None),
        "shared": caveats.shared(report.rows),
        "setting": setting(report),
        "machine": facts(report.machine),
        "build": facts({name: report.build[name] for name in report.build if name not in APART}),
        "against": report.against,
        "unknown": words.UNKNOWN,
    }


def per_s(row: Row, events: int | None) -> float | None:
    """Rate of events: the sum of all rounds over their measured time."""
    if events is None or not row.duration_ns:
        return None
    return events * 1e9 / row.duration_ns


def generator_cycles(row: Row) -> float | None:
    """The generator's busy cycles per right reply."""
    if row.tg_poller.busy_cycles is None or not row.answered:
        return None
    return row.tg_poller.busy_cycles / row.answered


def setting(report: Report) -> list[tuple[str, str]]:
    """Conditions of the measurement, as pairs of term and text."""
    spec, load = report.spec, report.spec.workload
    return [
        *((f"Service {each.name}", words.own_load(each)) for each in spec.own),
        *([("Workload", _workload(spec))] if _has_keys(spec) else []),
        ("Load", f"{words.load(spec)}, {_order(spec)}{load.flows} flows"),
        (
            "Rounds",
            f"{spec.rounds} (interleaved), each with a fresh server, {spec.warmup_s:g} s warm-up "
            f"and {spec.measured_s:g} s measured; seed {spec.seed}",
        ),
        *(term for wire in wires(report.topology) for term in _wire(wire)),
        *_applied(report.topology),
        ("Generator ceiling", _ceilings(report.rows)),
        ("Time", f"{_known(report.started_utc)} to {_known(report.finished_utc)}"),
    ]


def _has_keys(spec: Spec) -> bool:
    """Whether the workload's keys say what is asked: of rows that serve a service of the table."""
    served = {service for row in spec.rungs if row.rung.uses for service in row.services}
    return not served <= {each.name for each in spec.own}


def _order(spec: Spec) -> str:
    return f"requests drawn by {words.drawn(spec)}, " if spec.own else ""


def _workload(spec: Spec) -> str:
    load = spec.workload
    return (
        f"{load.name}: {_keys(spec)} keys ({words.drawn(spec)}), {load.key_bytes}-byte keys, "
        f"{_values(load)}, {load.get * 100:g} % GET, {load.set * 100:g} % SET, "
        f"{load.miss * 100:g} % GET of absent keys"
    )


def _keys(spec: Spec) -> str:
    if spec.sweep is None or spec.sweep.axis != "keys":
        return f"{spec.workload.keys:,}"
    return " to ".join(f"{point.keys:,}" for point in (spec.sweep.points[0], spec.sweep.points[-1]))


def _values(load: Workload) -> str:
    if not load.classes:
        return f"{load.value_bytes}-byte values"
    parts = (f"{each.value_bytes} bytes ({each.share * 100:g} %)" for each in load.classes)
    return f"values of {', '.join(parts)} by shares of the keys"


def _wire(wire: Facts) -> list[tuple[str, str]]:
    notes = wire.get("notes")
    cores = f"under test {_known(wire.get('sut_cpu'))}, generator {_known(wire.get('tg_cpu'))}"
    found = [
        (f"Wire {_known(wire.get('wire'))}", _known(wire.get("placement"))),
        ("its cores", cores),
    ]
    if isinstance(notes, list) and notes:
        found.append(("its notes", "; ".join(map(str, notes))))
    return found


def _applied(topology: Facts) -> list[tuple[str, str]]:
    """Settings that the run changed on the machine, or could not change."""
    found = topology.get("machine")
    if not isinstance(found, list) or not found:
        return []
    return [("Machine set", "; ".join(str(Applied.model_validate(each)) for each in found))]


def _ceilings(rows: tuple[Row, ...]) -> str:
    known = {
        (row.wire, f" with {at}" if (at := sweep.words(row.point)) else "", ceiling)
        for row in rows
        if (ceiling := row.generator_ceiling_per_s)
    }
    found = "; ".join(
        f"{ceiling:,.0f} replies/s on {wire}{at} against its null responder"
        for wire, at, ceiling in sorted(known)
    )
    return found or "unknown: no null responder gave a figure in this run"


def _known(value: object) -> str:
    return words.UNKNOWN if value is None else str(value)


def facts(values: Facts) -> list[tuple[str, str]]:
    """Turn a dictionary into pairs of term and text; nested keys are joined by a dot."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        if name == "version":  # version of the file format, not a fact of the run
            continue
        if isinstance(value, dict):
            found += facts({f"{name}.{inner}": each for inner, each in value.items()})
        elif isinstance(value, list):
            found.append((name, ", ".join(str(item) for item in value)))
        elif isinstance(value, int) and SIZES in name:  # also cache_bytes.L2
            found.append((name, f"{words.size(value)} ({value:,} bytes)"))
        else:
            found.append((name, _known(value)))
    return found
