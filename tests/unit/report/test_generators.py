"""Rows with several generators: their joint ceiling, and labels for a generator's problems."""

from __future__ import annotations

from typing import Any

import made
import pytest

from nearmetal.report.compute import Setting, rows
from nearmetal.report.row import Row
from nearmetal.samples import Generator, Point, Sample
from nearmetal.spec.sweep import Sweep
from nearmetal.testbed.flow import rewired

POINTS = (Point(generators=1), Point(generators=2))


def asked(rung: str, service: str, rate: int, **each: Any) -> list[Sample]:
    """Return three rounds of two machines; `each`: changed values of tg2 in the last one."""
    parts = {"answered": rate, "sent": rate, "start_error_ns": 10_000}
    first = Generator(machine="tg1", **parts)
    second = Generator(machine="tg2", **parts)
    odd = second.model_copy(update=each)
    trials = made.rounds(rung, service, [rate] * 3, point=POINTS[1], generators=(first, second))
    return [*trials[:2], trials[2].model_copy(update={"generators": (first, odd)})]


def table(trials: list[Sample], *names: str) -> dict[str, Row]:
    """Return the rows with two generators, by "rung service"."""
    spec = made.spec(*names).model_copy(update={"sweep": Sweep(axis="generators", points=POINTS)})
    found = rows(Setting(spec=rewired(spec)), trials)
    return {f"{row.rung} {row.service}": row for row in found if row.point == POINTS[1]}


def test_the_ceiling_is_that_of_as_many_generators_on_either_wire() -> None:
    trials = asked("host-sock", "kv", 300) + asked("uk-netdev", "kv", 500)
    trials += asked("limit-nic", "echo", 600)
    trials += made.rounds("limit-nic", "echo", [400] * 3, point=POINTS[0])
    found = table(trials, "host-sock", "uk-netdev", "limit-veth")
    assert (found["host-sock kv"].wire, found["uk-netdev kv"].wire) == ("nic", "pvp")
    assert found["host-sock kv"].generator_ceiling_per_s == 600
    assert found["uk-netdev kv"].generator_ceiling_per_s == 600
    assert (found["host-sock kv"].generator_bound, found["uk-netdev kv"].generator_bound) == (
        False,
        True,
    )
    assert "limit-veth echo" not in found


def test_without_a_null_responder_the_label_says_what_is_missing() -> None:
    (label,) = _of("ceiling unknown", table(asked("host-sock", "kv", 300), "host-sock"))
    assert "the null responder gave no figure in this run" in label
    behind = made.rounds("host-dpdk-pvp", "kv", [300] * 3)
    alone = rows(Setting(spec=made.spec("host-dpdk-pvp")), behind)
    (label,) = [each for each in alone[0].labels if each.startswith("ceiling unknown")]
    assert "pvp has no null responder" in label


@pytest.mark.parametrize(
    ("each", "words"),
    [
        ({"start_late_ns": 40_000_000}, "tg2 began 40 ms late, by a clock known to 0.01 ms"),
        ({"start_error_ns": 50_000_000}, "tg2 began 0 ms late, by a clock known to 50 ms"),
        ({"intended": 1_000, "slipped_ns": 2_000_000}, "tg2 was late by up to 2 ms"),
        ({"intended": 1_000, "not_sent": 15}, "tg2 did not send 15 of 1,000 (1.5 %)"),
    ],
)
def test_a_generator_off_its_schedule_is_named(each: dict[str, int], words: str) -> None:
    (label,) = _of(
        "generators off schedule", table(asked("host-sock", "kv", 300, **each), "host-sock")
    )
    assert words in label and "tg1" not in label


def test_generators_that_did_as_they_were_to_draw_no_label() -> None:
    assert not _of("generators", table(asked("host-sock", "kv", 300), "host-sock"))


def test_busy_and_uneven_generators_are_named() -> None:
    trials = [
        trial.model_copy(
            update={
                "generators": tuple(
                    part.model_copy(update={"busy_share": share, "answered": answered})
                    for part, share, answered in zip(
                        trial.generators, (0.5, 0.99), (100, 200), strict=True
                    )
                )
            }
        )
        for trial in asked("host-sock", "kv", 300)
    ]
    found = table(trials, "host-sock")
    (busy,), (uneven,) = _of("generators busy", found), _of("uneven generators", found)
    assert "tg2 99 %" in busy and "tg1" not in busy
    assert uneven.endswith("tg1 300, tg2 600")


def test_a_spec_that_names_both_null_responders_has_one_row() -> None:
    names = [row.rung.name for row in rewired(made.spec("limit-veth", "limit-nic")).rungs]
    assert names == ["limit-nic"]


def _of(kind: str, found: dict[str, Row]) -> list[str]:
    return [each for each in found["host-sock kv"].labels if each.startswith(kind)]
