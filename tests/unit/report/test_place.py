"""Rows of the place ukp: their label, their costs, their comparisons."""

from __future__ import annotations

from pathlib import Path

import made
import pytest
from rich.console import Console

from nearmetal import report
from nearmetal.report.comparisons import Comparison, comparisons, sentence
from nearmetal.report.compute import Setting, rows
from nearmetal.report.row import Row
from nearmetal.samples import Resources, Sample

MIB = 1 << 20
IMAGE = Resources(
    image_bytes=50_000, rss_bytes=150 * MIB, store_budget_bytes=200 * MIB,
    store_rss_bytes=148 * MIB, start_ms=2.0, syscalls_per_million=0.0,
    tender_image_bytes=2 * MIB, tender_rss_bytes=3 * MIB,
)  # fmt: skip
RUNGS = ("host-sock", "host-dpdk", "testpmd", "ukp-netdev", "ukp-lwip", "ceiling")


def vhost(rung: str, service: str, rate: int, cycles: float, **other: object) -> list[Sample]:
    return made.rounds(
        rung, service, [rate] * 3, busy_cycles_per_reply=cycles, busy_share=0.99, **other
    )


TRIALS = [
    *made.rounds("host-sock", "kv", [400_000] * 3),
    *vhost("host-dpdk", "kv", 5_000_000, 160.0),
    *vhost("host-dpdk", "echo", 8_000_000, 90.0),
    *vhost("testpmd", "echo", 8_000_000, 80.0),
    *vhost("ukp-netdev", "kv", 10_000_000, 80.0, resources=IMAGE),
    *vhost("ukp-netdev", "echo", 24_000_000, 30.0, resources=IMAGE),
    *vhost("ukp-lwip", "kv", 8_000_000, 120.0, resources=IMAGE),
    *vhost("ukp-lwip", "echo", 12_000_000, 60.0, resources=IMAGE),
    *vhost("ceiling", "echo", 26_000_000, 18.0),
]


@pytest.fixture
def measured() -> dict[str, Row]:
    found = rows(Setting(spec=made.spec(*RUNGS)), TRIALS)
    return {f"{row.rung} {row.service}": row for row in found}


def found(measured: dict[str, Row]) -> dict[tuple[str, str], Comparison]:
    return {(each.row, each.over): each for each in comparisons(list(measured.values()))}


def test_it_is_called_what_it_is(measured: dict[str, Row]) -> None:
    for name, row in measured.items():
        labelled = any(label.startswith("unikernel as a process: ") for label in row.labels)
        assert labelled == (row.place == "ukp" and row.status == "ok"), name


def test_the_store_is_taken_out_as_far_as_it_is_resident(measured: dict[str, Row]) -> None:
    row = measured["ukp-netdev kv"]
    assert row.rss_beyond_budget_bytes == 2 * MIB
    assert row.resources.tender_rss_bytes == 3 * MIB
    assert measured["host-sock kv"].rss_beyond_budget_bytes is None  # not reported


def test_ratios_are_one_sided_where_a_rate_is_a_floor(measured: dict[str, Row]) -> None:
    pairs = found(measured)
    kv = pairs["ukp-netdev kv", "host-dpdk kv"]
    assert (kv.by_rate, kv.by_busy_cycles, kv.floors, kv.wires) == (2.0, 0.5, (), ("vhost-user",))
    assert sentence(kv) == (
        "ukp-netdev kv answers 2.00 times what host-dpdk kv does,"
        " for 0.50 times its busy cycles per reply."
    )
    echo = pairs["ukp-netdev echo", "host-dpdk echo"]  # near the ceiling
    assert echo.floors == ("ukp-netdev echo",)
    assert "answers at least 3.00 times" in sentence(echo)
    assert "answers at most 0.50 times" in sentence(pairs["ukp-lwip echo", "ukp-netdev echo"])
    bounce = pairs["ukp-netdev kv", "testpmd echo"]
    assert (bounce.by_rate, bounce.by_busy_cycles) == (1.25, 1.0)
    assert "1.25 times what testpmd bounces" in sentence(bounce)
    both = echo.model_copy(update={"floors": (echo.row, echo.over)})
    assert "answers 3.00 times" in sentence(both) and "both rates are floors" in sentence(both)


def test_a_ratio_across_wires_says_so(measured: dict[str, Row]) -> None:
    lwip = found(measured)["ukp-lwip kv", "host-sock kv"]
    assert (lwip.by_rate, lwip.wires) == (20.0, ("vhost-user", "veth"))
    assert sentence(lwip).endswith(", each on its own wire (vhost-user, veth).")


def test_what_was_not_measured_is_beside_nothing(measured: dict[str, Row]) -> None:
    without = [
        row for name, row in measured.items() if name not in ("testpmd echo", "host-sock kv")
    ]
    names = {each.over for each in comparisons(without)}
    assert names == {"host-dpdk echo", "host-dpdk kv", "ukp-netdev echo"}


def test_the_report_carries_all_of_it(tmp_path: Path) -> None:
    folder = made.folder(tmp_path / "ukp", made.spec(*RUNGS), TRIALS, made.DONE)
    whole = report.write(folder)
    assert {(each.row, each.over) for each in whole.comparisons} >= {
        ("ukp-netdev kv", "host-dpdk kv"), ("ukp-lwip kv", "host-sock kv"),
    }  # fmt: skip
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "for 0.50 times its busy cycles per reply" in page
    assert "unikernel as a process: the unikernel" in page
    assert "tender:" in page and "3.00 MiB" in page
    header, *lines = (folder / "report.csv").read_text(encoding="utf-8").splitlines()
    for name in ("rss_beyond_budget_bytes", "resources.tender_image_bytes"):
        assert name in header.split(",")
    assert len(lines) == len(whole.rows)
    console = Console(width=110, record=True, file=(folder / "terminal").open("w"))
    console.print(report.table(whole))
    assert "unikernel as a process" in " ".join(console.export_text().split())


def test_without_the_place_there_is_no_tender(tmp_path: Path) -> None:
    trials = made.rounds("host-sock", "kv", [400_000] * 3)
    folder = made.folder(tmp_path / "host", made.spec("host-sock"), trials, made.DONE)
    report.write(folder)
    assert "tender" not in (folder / "report.html").read_text(encoding="utf-8")
