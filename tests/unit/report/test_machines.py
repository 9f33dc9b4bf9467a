"""Rows of virtual machines: their accelerator, their costs, their comparisons."""

from __future__ import annotations

from pathlib import Path

import made
import pytest

from nearmetal import report
from nearmetal.report.comparisons import comparisons, sentence
from nearmetal.report.compute import Setting, rows
from nearmetal.report.row import Paper, Row
from nearmetal.samples import Accelerator, Resources, Sample

MIB = 1 << 20
TCG = Accelerator(name="tcg", cpu="max", loops_per_s={"tcg": 600e6, "kvm": 0.4e6})
KVM = Accelerator(name="kvm", cpu="host", loops_per_s={"tcg": 600e6, "kvm": 3e9})
COSTS = Resources(
    image_bytes=60_000, rss_bytes=20 * MIB, store_budget_bytes=16 * MIB, store_rss_bytes=15 * MIB,
    start_ms=50.0, vmm_image_bytes=48 * MIB, vmm_rss_bytes=35 * MIB, vmm_start_ms=45.0,
)  # fmt: skip
RUNGS = ("uk-netdev", "uk-lwip", "limit-uk")
PAPER = {
    "uk-netdev": Paper(replies_per_s=6_000_000, source="paper"),
    "uk-lwip": Paper(replies_per_s=250_000, source="paper"),
}


def trials(accelerator: Accelerator) -> list[Sample]:
    of_each = (
        ("uk-netdev", "kv", 1_000_000, 2_600.0),
        ("uk-netdev", "echo", 3_000_000, 860.0),
        ("uk-lwip", "kv", 750_000, 3_400.0),
        ("uk-lwip", "echo", 1_500_000, 1_700.0),
        ("limit-uk", "echo", 4_000_000, 640.0),
    )
    return [
        sample
        for rung, service, rate, cycles in of_each
        for sample in made.rounds(
            rung,
            service,
            [rate] * 3,
            busy_cycles_per_reply=cycles,
            busy_share=0.99,
            accelerator=accelerator,
            resources=COSTS,
        )
    ]


@pytest.fixture
def measured() -> dict[str, Row]:
    found = rows(Setting(spec=made.spec(*RUNGS), paper=PAPER), trials(TCG))
    return {f"{row.rung} {row.service}": row for row in found}


def test_each_names_its_accelerator(measured: dict[str, Row]) -> None:
    for row in measured.values():
        assert row.accelerator == "tcg"
        assert row.accelerator_loops_per_s == TCG.loops_per_s
        (label,) = (label for label in row.labels if label.startswith("emulated: "))
        assert "kvm 0.4 M, tcg 600 M" in label


def test_kvm_is_not_called_emulated() -> None:
    found = rows(Setting(spec=made.spec(*RUNGS)), trials(KVM))
    for row in found:
        assert not any(label.startswith("emulated") for label in row.labels)
        assert any(label.startswith("accelerator kvm (") for label in row.labels)


def test_the_paper_stands_beside_where_it_has_both(measured: dict[str, Row]) -> None:
    pairs = {(each.row, each.over): each for each in comparisons(list(measured.values()))}
    stack = pairs["uk-netdev echo", "uk-lwip echo"]
    assert (stack.by_rate, stack.paper, stack.emulated) == (2.0, 24.0, True)
    assert sentence(stack).endswith("(TCG counts instructions); the paper has 24.")
    limit = pairs["uk-netdev echo", "limit-uk echo"]
    assert (limit.by_rate, limit.paper) == (0.75, None)
    assert ("uk-netdev kv", "limit-uk echo") in pairs and ("uk-netdev kv", "uk-lwip kv") in pairs


def test_qemu_s_share_stands_apart(measured: dict[str, Row], tmp_path: Path) -> None:
    row = measured["uk-netdev kv"]
    assert row.rss_beyond_budget_bytes == 5 * MIB
    assert (row.resources.start_ms, row.resources.vmm_start_ms) == (50.0, 45.0)
    folder = made.folder(tmp_path / "run", made.spec(*RUNGS), trials(TCG), made.DONE)
    report.write(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "QEMU:" in page and "35.0 MiB" in page and "emulated" in page
    columns = (folder / "report.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert {"accelerator", "resources.vmm_rss_bytes", "resources.vmm_start_ms"} <= {*columns}
