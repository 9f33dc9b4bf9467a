"""Rows of foreign images: the meaning of their cycles, and the rows that they are compared with."""

from __future__ import annotations

import made
import pytest

from nearmetal.report import caveats, terminal
from nearmetal.report.comparisons import Comparison, comparisons, sentence
from nearmetal.report.compute import Setting, rows
from nearmetal.report.row import Row
from nearmetal.samples import Accelerator, Poller, Sample
from nearmetal.spec.experiment import Spec, SpecRung
from nearmetal.spec.rungs import Image, Rung, find

IMAGE = Image(kernel="/k", kernel_sha256="0", memory_bytes=1 << 26, address="10.0.0.2", port=11211)
MINE = Rung(
    name="mine",
    place="image",
    datapath=None,
    ring=1024,
    machine="q35",
    image=IMAGE,
    wire="vhost-user",
    services=("kv",),
)
TCG = Accelerator(name="tcg", cpu="max")


def spec(*ours: str) -> Spec:
    made_spec = made.spec(*ours)
    mine = SpecRung(rung=MINE, services=("kv",), rounds=3)
    return made_spec.model_copy(update={"rungs": (mine, *made_spec.rungs)})


def trials(*ours: str) -> list[Sample]:
    told = {"accelerator": TCG, "busy_cycles_per_reply": 6_000.0}
    turns = Poller(busy_cycles=10, empty_cycles=10)
    found = made.rounds("mine", "kv", [50_000] * 3, **told)
    for name in ours:
        own = {"busy_cycles_per_reply": 3_000.0, "sut_poller": turns}
        for service in find(name).services:
            found += made.rounds(name, service, [100_000] * 3, **own)
    return found


def table(*ours: str) -> dict[str, Row]:
    found = rows(Setting(spec=spec(*ours)), trials(*ours))
    return {f"{row.rung} {row.service}": row for row in found}


def pairs(measured: dict[str, Row]) -> dict[tuple[str, str], Comparison]:
    return {(each.row, each.over): each for each in comparisons(list(measured.values()))}


def test_its_cycles_are_named_as_what_they_are() -> None:
    measured = table("uk-netdev")
    kinds = [caveats.kind(label) for label in measured["mine kv"].labels]
    assert "whole cycles" in kinds
    ours = [caveats.kind(label) for label in measured["uk-netdev kv"].labels]
    assert "whole cycles" not in ours


def test_the_footnote_says_which_rows() -> None:
    measured = table("uk-netdev")
    assert terminal.footnote(measured.values()).endswith("of mine kv all, empty polls too.")
    assert "empty polls" not in terminal.footnote([measured["uk-netdev kv"]])


@pytest.mark.parametrize("ours", ["uk-netdev", "uk-lwip", "ukp-netdev", "host-dpdk"])
def test_it_is_set_beside_our_rows_of_its_wire(ours: str) -> None:
    found = pairs(table(ours, "host-sock"))[("mine kv", f"{ours} kv")]
    assert (found.by_rate, found.by_busy_cycles) == (0.5, 2.0)
    assert found.whole == ("mine kv",)
    assert "(mine kv: all cycles, empty polls too)" in sentence(found)


def test_it_is_set_beside_nothing_else() -> None:
    """Not with another wire, another service, or a reference row."""
    measured = table("uk-netdev", "host-sock", "ceiling")
    assert {over for row, over in pairs(measured) if row == "mine kv"} == {"uk-netdev kv"}
