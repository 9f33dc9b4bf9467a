"""Each figure of the table in README is the figure of the run that README names."""

from __future__ import annotations

import csv
import re

from nearmetal.paths import source_root

ROOT = source_root()
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCALES = {"": 1.0, "K": 1e3, "M": 1e6}
NUMBER = r"([\d,]+(?:\.\d+)?)(?: ([KM]))?"


def agrees(shown: str, value: str, unit: float = 1.0) -> bool:
    """Whether a shown figure, with its digits, is the run's value. unit: its size in run units."""
    found = re.match(NUMBER, shown)
    assert found is not None, shown
    digits = found[1].replace(",", "")
    places = len(digits.partition(".")[2])
    exact = float(value) / unit / SCALES[found[2] or ""]
    return abs(float(digits) - exact) <= 0.500001 * 10**-places


def test_its_figures_are_the_run_s() -> None:
    named = re.search(r"Run `(\d{8}T\d{6}Z-quick)`", README)
    assert named is not None
    with (ROOT / f"data/runs/{named[1]}.csv").open(encoding="utf-8") as file:
        run = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    lines = [line.strip("|").split(" | ") for line in README.splitlines() if line.startswith("|")]
    shown = [[cell.strip() for cell in line] for line in lines[2:]]
    assert [line[:3] for line in shown] == [
        [row["rung"], row["service"], row["wire"]] for row in run
    ]
    wire = run[0]["wire"]  # wire of memcached
    for (*_, rate, p50, p99, cycles, over), row in zip(shown, run, strict=True):
        what = (rate, p50, p99, cycles, over, row["rung"], row["service"])
        assert rate.startswith("≥ ") == (row["generator_bound"] == "True"), what
        assert agrees(rate.removeprefix("≥ "), row["replies_per_s.median"]), what
        lowest, highest = row["replies_per_s.low"], row["replies_per_s.high"]
        between = re.search(rf"\({NUMBER} to {NUMBER}\)", rate)
        if between is None:
            assert rate.endswith("(one round)") and row["rounds"] == "1", what
        else:
            assert agrees(between[0][1:], lowest), what
            assert agrees(between[0].partition(" to ")[2], highest), what
        assert agrees(p50, row["latency_ns.p50"], 1e3), what
        assert agrees(p99, row["latency_ns.p99"], 1e3), what
        assert agrees(cycles, row["busy_cycles_per_reply"]), what
        assert bool(over) == bool(row["vs_memcached.per_sut_core_s"]), what
        assert not over or agrees(over, row["vs_memcached.per_sut_core_s"]), what
        assert over.endswith("†") == bool(over and row["wire"] != wire), what
