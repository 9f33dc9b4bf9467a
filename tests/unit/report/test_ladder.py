"""ladder.svg: what is drawn of a run's rows, and the committed picture that README shows."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import made
import pytest

from nearmetal import report
from nearmetal.paths import source_root
from nearmetal.report import ladder
from nearmetal.report.row import Row

SVG = "{http://www.w3.org/2000/svg}"
SIZE_MAX = 40_000
ROOT = source_root()
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN = re.compile(r"`(\d{8}T\d{6}Z-quick)`")


def steps(picture: str) -> dict[str, ElementTree.Element]:
    """Each rung's part of a picture, in its order."""
    parts = ElementTree.fromstring(picture).iter(f"{SVG}g")
    named = ((part, part.find(f"{SVG}text[@class='name']")) for part in parts)
    return {str(name.text): part for part, name in named if name is not None}


def texts(picture: str) -> str:
    return " ".join(" ".join(ElementTree.fromstring(picture).itertext()).split())


def is_hollow(step: ElementTree.Element) -> bool:
    """Whether the mark is that of a floor; a step has one mark."""
    hollow, full = step.find(f"{SVG}path[@class='floor']"), step.find(f"{SVG}circle[@class='full']")
    assert (hollow is None) != (full is None)
    return hollow is not None


def drawn(folder: Path) -> str:
    report.write(folder)
    return (folder / ladder.FILE).read_text(encoding="utf-8")


def rows_of(folder: Path) -> tuple[Row, ...]:
    return report.write(folder).rows


def test_a_floor_is_hollow_and_says_at_least(mixed: Path) -> None:
    found = steps(drawn(mixed))
    assert not is_hollow(found["host-sock"]) and is_hollow(found["host-mmsg"])
    rates = {name: step.find(f"{SVG}text[@class='rate right']") for name, step in found.items()}
    assert [getattr(rates[name], "text", None) for name in ("host-sock", "host-mmsg")] == [
        "301 K",
        "≥ 345 K",
    ]


def test_each_group_goes_towards_the_metal(tmp_path: Path) -> None:
    given = ("ceiling", "testpmd", "ukp-netdev", "ukp-lwip", "host-dpdk", "limit-veth")
    given += ("host-mmsg", "host-mmsg-plain", "host-sock", "host-py", "memcached", "limit-uk")
    given += ("uk-netdev", "uk-lwip", "guest-dpdk", "guest-sock")
    trials = [trial for name in given for trial in made.rounds(name, first(name), [1_000] * 3)]
    folder = made.folder(tmp_path / "run", made.spec(*given), trials, made.DONE)
    picture = drawn(folder)
    assert list(steps(picture)) == [
        *("host-dpdk", "ukp-lwip", "ukp-netdev", "testpmd", "ceiling"),
        *("memcached", "host-py", "host-sock", "host-mmsg-plain", "host-mmsg", "limit-veth"),
        *("guest-sock", "guest-dpdk", "uk-lwip", "uk-netdev", "limit-uk"),
    ]
    titles = re.findall(r'<tspan class="name">([^<]*)', picture)
    assert titles == ["vhost-user", "veth", "vhost-user, virtual machines"]


def first(name: str) -> str:
    return made.spec(name).rungs[0].services[0]


def test_a_wire_has_its_own_colour_and_its_limit_a_line(mixed: Path) -> None:
    trials = [
        *made.rounds("host-sock", "kv", [300_000] * 3),
        *made.rounds("host-dpdk", "kv", [8_000_000] * 3),
        *made.rounds("ceiling", "echo", [9_000_000] * 3),
    ]
    spec = made.spec("host-sock", "host-dpdk", "ceiling")
    picture = drawn(made.folder(mixed.parent / "wires", spec, trials, made.DONE))
    assert re.findall(r'<g class="(g\d)">', picture) == ["g0", "g1"]
    lines = ElementTree.fromstring(picture).findall(f".//{SVG}line[@class='limit']")
    mark = steps(picture)["ceiling"].find(f"{SVG}line[@class='limit']")
    assert mark is not None and len(lines) == 2  # its own, and the legend's


def test_places_are_those_of_a_logarithmic_axis() -> None:
    axis = ladder.Axis(1e3, 1e7)
    assert (axis.x(1e3), axis.x(1e5), axis.x(1e7)) == (
        ladder.LEFT,
        (ladder.LEFT + ladder.RIGHT) / 2,
        ladder.RIGHT,
    )
    assert [label for _, label in axis.ticks(1)] == ["1 K", "10 K", "100 K", "1 M", "10 M"]


def test_a_row_without_a_rate_keeps_its_place_and_says_why(mixed: Path) -> None:
    rows = rows_of(mixed)
    failed = next(row for row in rows if row.status == "failed")
    alone = [row for row in rows if row.rung != failed.rung] + [failed]
    picture = ladder.draw("made", alone)
    assert "failed: round 1: 3 wrong answers" in texts(picture)
    assert steps(picture)[failed.rung].find(f"{SVG}circle") is None
    skipped = {"status": "skipped", "reason": "no <b> & no room"}
    alone[0] = alone[0].model_copy(update=skipped)
    assert "skipped: no <b> & no room" in texts(ladder.draw("made", alone))


def test_a_run_without_a_rate_says_so(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(made.spec("host-sock").model_dump_json())
    picture = drawn(tmp_path)
    assert ladder.NOTHING in texts(picture) and not steps(picture)
    assert ladder.NOTHING in texts(ladder.draw("made", []))


def test_the_points_of_a_sweep_are_no_steps(mixed: Path) -> None:
    rows = [
        row.model_copy(update={"point": row.point.model_copy(update={"keys": 1000})})
        for row in rows_of(mixed)
    ]
    assert ladder.NOTHING in texts(ladder.draw("made", rows))


def test_the_file_stands_alone(mixed: Path) -> None:
    picture = drawn(mixed)
    assert len(picture.encode()) < SIZE_MAX
    tags = {part.tag.removeprefix(SVG) for part in ElementTree.fromstring(picture).iter()}
    assert tags <= {"svg", "title", "desc", "style", "g", "rect", "line", "path", "circle"} | {
        "text",
        "tspan",
    }
    assert not re.search(r"\b(?:href|src|on\w+)=|url\(|@import|@font-face", picture)
    assert "prefers-color-scheme: dark" in picture


def test_the_same_rows_give_the_same_bytes(mixed: Path) -> None:
    assert drawn(mixed) == drawn(mixed)


def test_the_csv_has_all_that_is_drawn(mixed: Path) -> None:
    picture = drawn(mixed)
    assert ladder.draw(*ladder.read_csv(mixed / "report.csv")) == picture


@pytest.mark.parametrize("file", sorted((ROOT / "data/runs").glob("*.csv")), ids=lambda at: at.stem)
def test_every_committed_run_can_be_drawn(file: Path) -> None:
    picture = ladder.draw(*ladder.read_csv(file))
    assert steps(picture) and f"run {file.stem}" in texts(picture)


def test_the_committed_picture_is_of_the_run_that_the_pages_name() -> None:
    page = (ROOT / "docs/pictures/README.md").read_text(encoding="utf-8")
    (run,) = set(RUN.findall(README)) or {None}
    assert run is not None and set(RUN.findall(page)) == {run}
    assert "](docs/pictures/ladder.svg)" in README or 'src="docs/pictures/ladder.svg"' in README
    committed = (ROOT / "docs/pictures/ladder.svg").read_bytes()
    again = ladder.draw(*ladder.read_csv(ROOT / f"data/runs/{run}.csv")).encode()
    assert committed == again, (
        "draw it again: PYTHONPATH=src python -m nearmetal.report.ladder"
        f" data/runs/{run}.csv > docs/pictures/ladder.svg"
    )
