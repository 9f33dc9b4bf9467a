"""Comparison with the paper's table: figures, ratios, and their explanations."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import made
import pytest
from rich.console import Console

from nearmetal import report
from nearmetal.paths import source_root
from nearmetal.report.compute import Setting, Standing, rows
from nearmetal.report.folder import PAPER_CSV, paper_rows
from nearmetal.report.paper import TCG, PaperRatio, lettered, ratios, sided
from nearmetal.samples import Accelerator, Generator, Sample
from nearmetal.spec.experiment import load
from nearmetal.spec.rungs import Service
from nearmetal.testbed.flow import rewired

PAPER = load(source_root() / "specs" / "paper.toml")
TCG_RUN = Accelerator(name="tcg", cpu="max")
RATES = {
    "host-sock": 100_000, "host-mmsg-plain": 150_000, "guest-sock": 10_000, "guest-mmsg": 20_000,
    "guest-dpdk": 1_000_000, "uk-lwip": 1_000_000, "uk-netdev": 2_000_000, "uk-dpdk": 1_500_000,
    "uk-netdev-q35": 1_800_000,
}  # fmt: skip
SKIPPED = {"limit-uk": "-", "limit-veth": "-", "ceiling": "-"}


def trials(**accelerators: Accelerator) -> list[Sample]:
    services: tuple[Service, ...] = ("kv", "echo")
    return [
        each
        for rung, rate in RATES.items()
        for service in services
        for each in made.rounds(
            rung,
            service,
            [rate] * 3,
            busy_cycles_per_reply=1e9 / rate,
            busy_share=0.99,
            accelerator=accelerators.get(rung.replace("-", "_"), default(rung)),
        )
    ]


def default(rung: str) -> Accelerator | None:
    return TCG_RUN if rung.startswith(("guest", "uk")) else None


def found(
    samples: list[Sample], cores: int = 2, **skipped: str
) -> dict[tuple[str, str], PaperRatio]:
    wires = {name: Standing(name) for name in ("veth", "vhost-user")}
    setting = Setting(
        spec=PAPER, wires=wires, skipped=SKIPPED | skipped, paper=paper_rows(PAPER_CSV)
    )
    all_of = ratios(rows(setting, samples), {"cores": cores})
    return {(f"{each.place} {each.question}", each.service): each for each in all_of}


def test_every_ratio_of_the_paper_is_there_for_both_services() -> None:
    by = found(trials())
    assert len(by) == 16
    # The paper's uknetdev ran on a PC too.
    same = by["unikraft-guest uknetdev / dpdk", "kv"]
    assert same.ours == pytest.approx(1.2) and same.paper == pytest.approx(6.0 / 6.1)
    assert by["unikraft-guest dpdk / linux-guest dpdk", "echo"].paper == pytest.approx(1)
    dpdk = by["linux-guest dpdk / batch", "echo"]
    assert dpdk.ours == pytest.approx(50) and dpdk.paper == pytest.approx(6_100_000 / 276_000)
    assert dpdk.of_paper == pytest.approx(50 / (6_100_000 / 276_000))
    assert dpdk.by_busy_cycles == pytest.approx(1 / 50)
    metal = by["linux-metal batch / single", "kv"]
    assert metal.ours == pytest.approx(1.5) and metal.paper == pytest.approx(985 / 590)
    assert by["unikraft-guest uknetdev / linux-guest batch", "kv"].ours == pytest.approx(100)


def test_only_emulated_ratios_say_that_instructions_are_counted() -> None:
    for (question, _), each in found(trials()).items():
        emulated = not question.startswith("linux-metal")
        assert each.note == (TCG if emulated else "")
        assert (each.accelerator == "tcg") == emulated
        assert any("emulated" in line for line in each.gap) == emulated


def test_the_words_follow_the_facts() -> None:
    metal = found(trials())["linux-metal batch / single", "echo"].gap
    assert any("on veth one kernel works for server and client" in line for line in metal)
    assert any("two cores" in line for line in metal)
    assert any("two IP fragments" in line for line in metal)
    assert not any("19.4" in line or "macvtap" in line or "85-byte" in line for line in metal)
    uk = found(trials(), cores=8)["unikraft-guest uknetdev / lwip", "kv"].gap
    assert not any("cores" in line or "two IP fragments" in line for line in uk)
    assert any("no switch" in line for line in uk) and any("19.4" in line for line in uk)
    assert any("85-byte frames" in line for line in uk) and any(
        "lwIP directly" in line for line in uk
    )


@pytest.mark.parametrize(("driver", "rehearsed"), [("ixgbe", False), ("veth", True)])
def test_several_machines_are_as_the_paper_had_them_but_in_a_rehearsal(
    driver: str, rehearsed: bool
) -> None:
    part = Generator(machine="tg1", answered=1, sent=1, start_error_ns=0)
    asked = [each.model_copy(update={"generators": (part,)}) for each in trials()]
    where = f"2 machines; server on core 1 behind eth1 ({driver}); generators: tg1 on core 1"
    wires = {name: Standing(name, where) for name in ("nic", "pvp")}
    setting = Setting(spec=rewired(PAPER), wires=wires, skipped=SKIPPED)
    for each in ratios(rows(setting, asked), {"cores": 8}):
        assert any("a rehearsal: no NIC" in line for line in each.gap) is rehearsed
        assert not any("no second machine" in line or "no switch" in line for line in each.gap)


def test_two_accelerators_make_no_ratio() -> None:
    kvm = Accelerator(name="kvm", cpu="host")
    by = found(trials(guest_dpdk=kvm))
    mixed = by["unikraft-guest uknetdev / linux-guest dpdk", "kv"]
    assert mixed.ours is None and mixed.gap == () and "two accelerators (tcg, kvm)" in mixed.reason
    both = found(trials(guest_dpdk=kvm, uk_netdev=kvm))
    same = both["unikraft-guest uknetdev / linux-guest dpdk", "kv"]
    assert same.accelerator == "kvm" and same.note == "" and "under kvm" in same.gap[0]


def test_a_row_without_figure_gives_its_reason() -> None:
    left = [each for each in trials() if each.rung != "guest-dpdk"]
    by = found(left, **{"guest-dpdk": "no DPDK here"})
    gone = by["linux-guest dpdk / batch", "echo"]
    assert gone.ours is None and gone.of_paper is None and gone.note == ""
    assert gone.reason == "guest-dpdk echo skipped: no DPDK here"
    assert gone.paper is not None


def test_sides() -> None:
    each = found(trials())["linux-metal batch / single", "echo"]
    sides = {(): "", (each.row,): "≥ ", (each.over,): "≤ ", (each.row, each.over): "~"}
    for floors, sign in sides.items():
        assert sided(each.model_copy(update={"floors": floors})) == sign


def test_letters_name_each_sentence_once() -> None:
    letters = lettered(list(found(trials()).values()))
    assert len(set(letters.values())) == len(letters) <= 26


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    state = made.DONE | {"skipped": SKIPPED}
    topology = {"wires": [made.TOPOLOGY, made.TOPOLOGY | {"wire": "vhost-user"}]}
    return made.folder(tmp_path / "paper", PAPER, trials(), state, topology=topology)


def test_every_form_shows_them(folder: Path) -> None:
    result = report.write(folder)
    told = json.loads((folder / "report.json").read_text())
    assert len(told["paper_ratios"]) == 16
    by_name = {(row["rung"], row["service"]): row for row in told["rows"]}
    for service in ("kv", "echo"):
        assert by_name["host-mmsg-plain", service]["paper"]["replies_per_s"] == 985_000
        assert by_name["uk-dpdk", service]["paper"]["replies_per_s"] == 6_100_000
    kv, echo = by_name["host-sock", "kv"], by_name["host-sock", "echo"]
    assert kv["frame_bytes"] == {"request": 64, "reply": 85}
    assert echo["frame_bytes"] == {"request": 64, "reply": 64}
    assert any("replies of 85" in label and "like an echo" in label for label in kv["labels"])
    assert any("8-byte stamp" in label for label in echo["labels"])
    with (folder / "report.csv").open(newline="") as file:
        lines = {(line["rung"], line["service"]): line for line in csv.DictReader(file)}
    listed = json.loads(lines["uk-netdev", "kv"]["paper_ratios"])
    assert {each["over"] for each in listed} == {"uk-lwip kv", "guest-dpdk kv", "guest-mmsg kv"}
    page = (folder / "report.html").read_text()
    assert page.count("TCG counts instructions: this ratio") == 14
    assert "uk-netdev kv costs: image" in page
    console = Console(width=110, record=True, file=io.StringIO())
    table = report.ratios(result)
    assert table is not None
    console.print(report.table(result), table)
    text = console.export_text()
    assert "paper*" in text and "985 K" in text and "22.10 x" in text
    assert text.count("TCG counts instructions") == 14


def test_another_workload_has_no_ratios_in_the_terminal(tmp_path: Path) -> None:
    spec = made.spec("host-sock", "host-mmsg")
    path = made.folder(tmp_path / "x", spec, [made.sample("host-sock")], made.DONE)
    assert report.ratios(report.write(path)) is None
