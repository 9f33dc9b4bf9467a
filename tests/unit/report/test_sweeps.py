"""Reports of sweeps: a row for every point, a figure along the axis, figures in the text."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import made
import pytest
from rich.console import Console

from nearmetal import report
from nearmetal.report import page, words
from nearmetal.report.findings import findings
from nearmetal.report.words import loss
from nearmetal.samples import Point, Poller, Sample
from nearmetal.spec.experiment import Spec
from nearmetal.spec.sweep import Sweep

CACHES = {"L1d": 48 << 10, "L2": 1 << 20, "L3": 32 << 20}
KEYS = {1_000: 12_000_000, 100_000: 11_000_000, 16_000_000: 8_000_000}


def spec_of(axis: str, *points: Point, rungs: tuple[str, ...] = ("host-sock",)) -> Spec:
    sweep = Sweep.model_validate({"axis": axis, "points": points})
    return made.spec(*rungs).model_copy(update={"sweep": sweep})


@pytest.fixture
def scale(tmp_path: Path) -> Path:
    """A sweep over three sizes of the store; echo failed."""
    points = {keys: Point(keys=keys) for keys in KEYS}
    trials = [
        sample
        for keys, rate in KEYS.items()
        for sample in made.rounds("host-sock", "kv", [rate] * 3, point=points[keys])
    ]
    trials.append(made.sample("host-sock", "echo", status="failed", counts=None, reason="no room"))
    trials[-1] = trials[-1].model_copy(update={"point": points[1_000]})
    machine = made.MACHINE | {"cache_bytes": CACHES}
    spec = spec_of("keys", *points.values())
    return made.folder(tmp_path / "scale", spec, trials, made.DONE, machine=machine)


def paced(share: float | None, number: int, lost: int = 0) -> Sample:
    """Return a trial of three seconds whose peak is 100,000/s."""
    point = Point() if share is None else Point(peak_share=share, rate_per_s=share * 100_000)
    intended = int(300_000 * (share or 1))
    other = {} if share is None else {"intended": intended, "not_sent": 0, "slipped_ns": 1500}
    counts = made.counts(intended - lost, lost=lost, **other)
    poller = Poller(busy_cycles=3 * 10**9, empty_cycles=10**9, switches_involuntary=9)
    return made.sample(
        "memcached", "kv", number, counts=counts, point=point, sut_poller=poller, tg_poller=poller,
        tg_cycles={"receive": 1, "empty": 2, "check": 3, "send": 4},
    )  # fmt: skip


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """The closed loop and two shares of its peak; the higher share has losses."""
    trials = [paced(share, n) for share in (None, 0.5) for n in range(3)]
    trials += [paced(0.8, n, lost=24 * n) for n in range(3)]
    points = (Point(), Point(peak_share=0.5), Point(peak_share=0.8))
    spec = spec_of("rate", *points, rungs=("memcached",))
    return made.folder(tmp_path / "open", spec, trials, made.DONE)


def parsed(folder: Path) -> ElementTree.Element:
    text = (folder / "report.html").read_text()
    return ElementTree.fromstring(text[text.index("<html") :])


def words_of(folder: Path) -> str:
    return " ".join(" ".join(parsed(folder).itertext()).split())


def test_the_page_of_a_key_sweep(scale: Path) -> None:
    found = report.write(scale)
    (figure,) = parsed(scale).findall(".//figure")
    drawn = " ".join(figure.itertext())
    for text in ("1,000", "100,000", "16,000,000", "L2", "L3", "12.0 M"):
        assert text in drawn
    text = words_of(scale)
    assert "Caches of a core: L1d 48.0 KiB, L2 1.00 MiB, L3 32.0 MiB" in text
    assert "from 1,000 keys to 16,000,000 keys the rate falls by a factor of 1.50" in text
    assert "cache_bytes.L3 32.0 MiB" in text
    assert "1,000 to 16,000,000 keys" in text
    assert "Failed: host-sock echo 1,000 keys, host-sock echo 100,000 keys" in text
    assert [row.point.keys for row in found.rows] == list(KEYS) * 2


def test_csv_names_the_point(scale: Path) -> None:
    report.write(scale)
    with (scale / "report.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["point.keys"] for line in lines] == [str(keys) for keys in KEYS] * 2
    assert lines[0]["tg_poller.switches_voluntary"] == ""


def test_without_cache_sizes_the_figure_says_so(scale: Path) -> None:
    (scale / "machine.json").write_text(json.dumps(made.MACHINE))
    report.write(scale)
    assert "The machine's cache sizes are unknown" in words_of(scale)


def test_the_page_of_an_open_loop(opened: Path) -> None:
    report.write(opened)
    text = words_of(opened)
    assert "memcached kv 80 % of peak (80.0 K/s): p50" in text
    assert "loss 0.010 % (median of 3 trials; 0 to 0.020 %)" in text
    assert "closed, then open loop (constant), window 128" in text
    tables = parsed(opened).findall(".//table")
    heads = [["".join(td.itertext()).strip() for td in line[:3]] for line in tables[1].iter("tr")]
    assert [head[2] for head in heads if head and head[0] == "memcached"] == [
        "50 % of peak",
        "80 % of peak",
    ]
    assert next(svg.get("aria-label") for svg in parsed(opened).iter("svg")) == "load"


def test_both_cores_stand_side_by_side(opened: Path) -> None:
    found = report.write(opened)
    row = found.rows[1]
    assert page.per_s(row, row.sut_poller.switches_involuntary) == 3.0
    assert page.per_s(row, None) is None
    assert row.sut_poller.busy_share == 0.75
    assert Poller(busy_cycles=1).busy_share is None
    assert page.generator_cycles(row) == 9e9 / 450_000
    assert (row.tg_split.empty, row.tg_split.send) == (0.2, 0.4)
    assert "receive empty check send" in words_of(opened)
    assert "10 % 20 % 30 % 40 %" in words_of(opened)
    assert "20,000 75 % 0 % –, 3" in words_of(opened)  # noqa: RUF001


def test_the_terminal_shows_loss_and_point(opened: Path) -> None:
    console = Console(width=110, record=True, file=(opened / "terminal").open("w"))
    console.print(report.table(report.write(opened)))
    text = console.export_text()
    assert re.search(r"memcached +kv +80 % of peak +80.0 K +0.010 %", text)
    assert re.search(r"memcached +kv +closed loop +100 K +0 ", text)


def test_a_window_sweep_and_its_pdf(tmp_path: Path) -> None:
    points = [Point(window=window) for window in (1, 64)]
    trials = [
        sample
        for point, rate in zip(points, (10_000, 90_000), strict=True)
        for service in ("kv", "echo")
        for sample in made.rounds("host-sock", service, [rate] * 3, point=point)
    ]
    folder = made.folder(tmp_path / "window", spec_of("window", *points), trials, made.DONE)
    report.write(folder, pdf=True)
    assert [file.name for file in (folder / "figures").iterdir()] == ["window.pdf"]
    assert "from window 1 to window 64 the rate rises by a factor of 9.00" in words_of(folder)


def test_one_generator_and_two_stand_in_the_list_of_rows(tmp_path: Path) -> None:
    points = [Point(generators=count) for count in (1, 2)]
    trials = [
        sample
        for point, rate in zip(points, (10_000, 15_000), strict=True)
        for service in ("kv", "echo")
        for sample in made.rounds("host-sock", service, [rate] * 3, point=point)
    ]
    folder = made.folder(tmp_path / "many", spec_of("generators", *points), trials, made.DONE)
    found = report.write(folder)
    assert "from 1 generator to 2 generators the rate rises by a factor of 1.50" in words_of(folder)
    names = {words.name(row) for row in found.rows}
    assert names >= {"host-sock kv 1 generator", "host-sock kv 2 generators"}


def test_editions_of_the_generator_stand_in_the_list_of_rows(tmp_path: Path) -> None:
    points = [Point(edition=name) for name in ("nm-load", "nm-load --segment")]
    trials = [
        sample
        for point, rate in zip(points, (10_000, 15_000), strict=True)
        for sample in made.rounds("host-sock", "kv", [rate] * 3, point=point)
    ]
    folder = made.folder(tmp_path / "ways", spec_of("edition", *points), trials, made.DONE)
    found = report.write(folder)
    assert "from nm-load to nm-load --segment the rate rises by a factor of 1.50" in words_of(
        folder
    )
    generators = {row.point.edition: row.generator for row in found.rows if row.service == "kv"}
    assert generators == {"nm-load": "nm-load", "nm-load --segment": "nm-load --segment"}


@pytest.mark.parametrize("axis", ["keys", "window", "rate"])
def test_a_sweep_of_which_nothing_was_measured(axis: str, tmp_path: Path) -> None:
    point = {"keys": Point(keys=1), "window": Point(window=1), "rate": Point(rate_per_s=1)}[axis]
    folder = made.folder(tmp_path / "none", spec_of(axis, point), [], None)
    found = report.write(folder)
    assert {row.status for row in found.rows} == {"skipped"}
    assert not parsed(folder).findall(".//figure")
    assert findings(found.rows, found.spec.sweep.axis if found.spec.sweep else None) == []


@pytest.mark.parametrize(
    ("rates", "logarithmic"), [([100_000, 1_900_000], False), ([100_000, 2_100_000], True)]
)
def test_rows_that_differ_much_stand_on_an_axis_that_says_so(
    rates: list[int], logarithmic: bool, tmp_path: Path
) -> None:
    trials = [
        sample
        for service, rate in zip(("kv", "echo"), rates, strict=True)
        for sample in made.rounds("host-sock", service, [rate] * 3)
    ]
    folder = made.folder(tmp_path / "wide", made.spec("host-sock"), trials, made.DONE)
    report.write(folder)
    throughput = parsed(folder).findall(".//figure")[0]
    text = " ".join(throughput.itertext())
    assert ("logarithmic: equal steps are equal factors" in text) is logarithmic


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (0.0, "0"), (1e-4, "0.010 %"), (0.5, "50 %")],  # noqa: RUF001
)
def test_loss_in_words(value: float | None, words: str) -> None:
    assert loss(value) == words
