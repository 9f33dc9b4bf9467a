"""The files of a report: complete, equal to each other, self-contained."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import made
import pytest
from rich.console import Console

from nearmetal import report
from nearmetal.errors import BadInputError
from nearmetal.spec.experiment import Workload

ROW_KEYS = set(
    re.findall(
        r"\w+",
        """rung place datapath service workload loop window wire topology accelerator cores
        generator status reason labels rounds interval placement replies_per_s latency_ns
        duration_ns sent answered wrong stale unexpected_miss lost late duplicate evicted
        cpu_s_per_million busy_cycles_per_reply busy_share generator_ceiling_per_s resources
        paper""",
    )
)
MEMBERS = {
    "cores": {"sut", "tg"},
    "replies_per_s": {"median", "low", "high"},
    "latency_ns": {"p50", "p99", "p999"},
    "cpu_s_per_million": {"sut", "tg"},
    "resources": {
        "image_bytes", "rss_bytes", "store_budget_bytes", "start_ms", "syscalls_per_million",
        "store_rss_bytes", "tender_image_bytes", "tender_rss_bytes",
    },
}  # fmt: skip


def written(folder: Path) -> dict[str, Any]:
    """Write a report, and return its report.json."""
    report.write(folder)
    loaded: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return loaded


def test_the_page_says_the_lengths_of_values(tmp_path: Path) -> None:
    classes = [{"value_bytes": 32, "share": 0.75}, {"value_bytes": 1000, "share": 0.25}]
    workload = Workload.model_validate({"classes": classes})
    spec = made.spec("host-sock").model_copy(update={"workload": workload})
    folder = made.folder(tmp_path / "lengths", spec, [], made.DONE)
    assert written(folder)["spec"]["workload"]["classes"] == classes
    said = "values of 32 bytes (75 %), 1000 bytes (25 %) by shares of the keys"
    assert said in (folder / "report.html").read_text()


def test_json_has_every_promised_key(mixed: Path) -> None:
    found = written(mixed)
    assert set(found) >= {"version", "run", "spec", "machine", "partial", "reason", "rows"}
    assert (found["run"], found["partial"]) == (mixed.name, False)
    assert found["machine"] == made.MACHINE
    assert len(found["rows"]) == 8
    for row in found["rows"]:
        assert set(row) >= ROW_KEYS
        for name, members in MEMBERS.items():
            assert set(row[name]) >= members, name
    statuses = [row["status"] for row in found["rows"]]
    assert statuses == ["ok", "ok", "skipped", "ok", "ok", "ok", "failed", "ok"]


def test_topology_and_paper_reach_the_rows(mixed: Path) -> None:
    by_name = {(row["rung"], row["service"]): row for row in written(mixed)["rows"]}
    kv = by_name["host-sock", "kv"]
    assert kv["cores"] == {"sut": 0, "tg": 1}
    assert (kv["wire"], kv["placement"]) == ("veth", made.TOPOLOGY["placement"])
    assert kv["paper"]["replies_per_s"] == 590_000
    assert "Table 4" in kv["paper"]["source"]
    assert by_name["memcached", "kv"]["paper"] is None
    assert by_name["host-sock", "echo"]["paper"] == kv["paper"]


def test_csv_agrees_with_json(mixed: Path) -> None:
    rows = written(mixed)["rows"]
    with (mixed / "report.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line["run"] == mixed.name
        assert (row["latency_ns"].pop("hdr") is None) == (row["latency_ns"]["p50"] is None)
        assert "latency_ns.hdr" not in line  # a histogram is for the JSON only
        for name, value in row.items():
            if isinstance(value, dict):
                for member, inner in value.items():
                    assert line[f"{name}.{member}"] == cell(inner), (name, member)
            elif name != "paper":
                assert line[name] == cell(value), name


def cell(value: object) -> str:
    """Return a value as CSV writes it."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, list) else str(value)


def test_html_is_whole_and_well_formed(mixed: Path) -> None:
    found = written(mixed)
    page = (mixed / "report.html").read_text()
    body = page[page.index("<html") :]
    tree = ElementTree.fromstring(body)  # raises unless the page is well-formed
    text = " ".join(" ".join(tree.itertext()).split())
    main = tree.find(".//table/tbody")
    assert main is not None
    heads = [[cell.text for cell in line[:2]] for line in main if line.get("class") != "labels"]
    assert heads == [[row["rung"], row["service"]] for row in found["rows"]]
    for row in found["rows"]:
        assert " ".join(row["reason"].split()) in text
        for label in row["labels"]:
            assert " ".join(label.split()) in text
    assert len(tree.findall(".//figure/svg")) == 3
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_html_asks_no_network(mixed: Path) -> None:
    written(mixed)
    page = (mixed / "report.html").read_text()
    assert not re.search(r"(https?:)?//[a-z]", page)
    assert not re.search(r"<(script|link|iframe|img)\b|@import|\bsrc=", page)
    for target in re.findall(r'href="([^"]*)"|url\(([^)]*)\)', page):
        assert (target[0] or target[1]).startswith("#")


def test_terminal_table_fits_and_shows_reasons(mixed: Path) -> None:
    found = report.write(mixed)
    console = Console(width=100, record=True, file=(mixed / "terminal").open("w"))
    console.print(report.table(found))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text  # nothing was cut off
    for row in found.rows:
        assert re.search(rf"{row.rung} +{row.service}", text)
    joined = " ".join(text.split())
    assert "host-py echo skipped: no <b>interpreter</b> & [bold]no[/] luck" in joined
    assert "host-mmsg echo failed: round 1: 3 wrong answers" in joined


def test_a_killed_run_is_partial(tmp_path: Path) -> None:
    spec = made.spec("host-sock", "host-mmsg")
    folder = made.folder(tmp_path / "run", spec, [made.sample("host-sock")], None)
    with (folder / "samples.jsonl").open("a") as file:
        file.write('{"version":1,"rung":"host-so')  # cut off by the kill
    found = written(folder)
    assert found["partial"] is True
    assert "run.json is missing" in found["reason"]
    statuses = {(row["rung"], row["service"]): row["status"] for row in found["rows"]}
    assert statuses["host-sock", "kv"] == "ok"
    assert statuses["host-mmsg", "echo"] == "skipped"
    assert "Partial run." in (folder / "report.html").read_text()


def test_a_run_that_ended_at_once_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(made.spec("host-sock").model_dump_json())
    found = written(tmp_path)
    assert [row["status"] for row in found["rows"]] == ["skipped", "skipped"]
    assert found["rows"][0]["placement"] is None
    assert found["rows"][0]["wire"] == "veth"
    ElementTree.fromstring((tmp_path / "report.html").read_text().split("<!DOCTYPE html>")[1])


def test_a_report_is_the_same_when_made_again(mixed: Path) -> None:
    names = ("report.json", "report.csv", "report.html", "ladder.svg")
    report.write(mixed)
    first = [(mixed / name).read_bytes() for name in names]
    report.write(mixed)
    assert [(mixed / name).read_bytes() for name in names] == first


def test_pdf_figures(mixed: Path) -> None:
    report.write(mixed, pdf=True)
    files = sorted((mixed / "figures").iterdir())
    assert [file.name for file in files] == ["cpu.pdf", "latency.pdf", "throughput.pdf"]
    assert all(file.read_bytes().startswith(b"%PDF-") for file in files)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("spec.json", "", "Spec"),
        ("machine.json", "{", "not JSON"),
        ("machine.json", "[]", "JSON object"),
        ("samples.jsonl", '{"rung": 1}\n', "Sample"),
        ("run.json", '{"partial": "perhaps"}', "RunState: partial"),
    ],
)
def test_a_malformed_file_is_named(mixed: Path, name: str, text: str, words: str) -> None:
    (mixed / name).write_text(text)
    with pytest.raises(BadInputError, match=words):
        report.write(mixed)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"holds no spec\.json"):
        report.write(tmp_path)


def test_a_ratio_across_wires_is_marked(tmp_path: Path) -> None:
    trials = [
        *made.rounds("memcached", "kv", [200_000] * 3),
        *made.rounds("host-sock", "kv", [300_000] * 3),
        *made.rounds("host-dpdk", "kv", [8_000_000] * 3),
        *made.rounds("testpmd", "echo", [10_000_000] * 3),
    ]
    rungs = ("memcached", "host-sock", "host-dpdk", "testpmd")
    folder = made.folder(tmp_path / "wires", made.spec(*rungs), trials, made.DONE)
    found = report.write(folder)
    page = (folder / "report.html").read_text()
    assert "40.00 x†" in page and "1.50 x†" not in page
    assert "40.00 times by rate, each on its own wire (vhost-user, veth)." in page
    assert "host-dpdk kv answers 0.80 times what testpmd bounces" in page
    console = Console(width=110, record=True, file=(folder / "terminal").open("w"))
    console.print(report.table(found))
    assert "40.00 x†" in console.export_text()
