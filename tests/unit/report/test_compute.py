"""From samples to rows: figures worked out by hand, and rows that must have none."""

from __future__ import annotations

from statistics import median

import made
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from nearmetal.errors import BadInputError
from nearmetal.report import caveats
from nearmetal.report.compute import Setting, Standing, fault, rows
from nearmetal.report.intervals import interval, percentiles
from nearmetal.report.row import Interval, Row
from nearmetal.samples import Counts, Point, Poller, Sample
from nearmetal.spec.experiment import SpecRung
from nearmetal.spec.rungs import find
from nearmetal.spec.sweep import Sweep


def table(trials: list[Sample], *rungs: str, rounds: int = 3, **other: object) -> dict[str, Row]:
    """Return rows by "rung service"."""
    setting = Setting(spec=made.spec(*rungs, rounds=rounds), **other)  # type: ignore[arg-type]
    return {f"{row.rung} {row.service}": row for row in rows(setting, trials)}


def test_rate_is_answers_over_measured_time() -> None:
    row = table(made.rounds("host-sock", "kv", [300, 100, 200]), "host-sock")["host-sock kv"]
    assert row.status == "ok"
    assert row.replies_per_s == Interval(median=200, low=100, high=300)
    assert row.replies_per_s_rounds == (300, 100, 200)
    assert (row.interval, row.rounds, row.answered) == ("minmax", 3, 1800)
    assert row.duration_ns == 9_000_000_000


def test_cost_counts_user_system_and_interrupts_of_right_answers() -> None:
    core = made.core(0, idle_s=1.0, user_s=0.25, system_s=0.5, softirq_s=0.125, irq_s=0.125)
    trial = made.sample(
        "host-sock", counts=made.counts(500_000), sut_core=core, latency=[(1000, 500_000)]
    )
    row = table([trial], "host-sock")["host-sock kv"]
    assert row.cpu_s_per_million.sut == 2.0
    assert row.cpu_s_per_million.tg == 6.0
    split = row.cpu_split_s_per_million
    assert (split.user, split.system, split.softirq, split.irq) == (0.5, 1.0, 0.25, 0.25)
    assert row.replies_per_sut_core_s == 500_000
    assert row.idle_share.sut == 0.5


def test_empty_polls_count_as_waiting() -> None:
    shares = (0.96, 0.9, 0.8)
    trials = [
        made.sample("host-sock", number=n, busy_cycles_per_reply=400.0 + n, busy_share=share)
        for n, share in enumerate(shares)
    ]
    row = table(trials, "host-sock")["host-sock kv"]
    assert (row.busy_cycles_per_reply, row.busy_share) == (401.0, 0.9)
    assert row.idle_share.sut == 0
    assert row.generator_bound is True  # a tenth of the time was spent in empty polls


def test_unknown_is_null() -> None:
    trial = made.sample("host-sock", sut_core=None, tg_core=None, tsc_hz=None, latency=[])
    row = table([trial], "host-sock")["host-sock kv"]
    assert row.status == "ok"
    assert row.cpu_s_per_million.sut is row.cpu_s_per_million.tg is None
    assert row.busy_cycles_per_reply is row.busy_share is row.replies_per_sut_core_s is None
    assert row.latency_ns.p50 is row.latency_ns.p999 is None
    assert row.generator_bound is None
    assert row.vs_memcached.by_rate is row.vs_echo.by_rate is None


def test_a_core_that_changed_between_rounds_has_no_cost() -> None:
    trials = [made.sample("host-sock", number=n, sut_core=made.core(n)) for n in range(2)]
    assert table(trials, "host-sock")["host-sock kv"].cpu_s_per_million.sut is None


@pytest.mark.parametrize(
    ("counts", "evicted", "words"),
    [
        (
            made.counts(wrong=3, stale=1, unexpected_miss=1),
            0,
            "3 wrong answers of 900,003 (1 stale",
        ),
        (made.counts(), 7, "evicted 7 items"),
        (made.counts(0, lost=5), 0, "no right answer to 5 requests"),
        (made.counts(0), 0, "no right answer to 0 requests"),
        (made.counts(sent=900_001), 0, "do not add up: sent 900,001"),
        (made.counts(lost=1, late=2), 0, "larger than its whole"),
        (made.counts(duration_ns=0), 0, "no right answer"),
    ],
)
def test_one_bad_trial_fails_the_row_and_takes_its_speed(
    counts: Counts, evicted: int, words: str
) -> None:
    good = made.sample("host-sock")
    bad = made.sample("host-sock", number=1, counts=counts, evicted=evicted)
    row = table([good, bad], "host-sock")["host-sock kv"]
    assert row.status == "failed"
    assert row.reason.startswith("round 2: ")
    assert words in row.reason
    assert row.sent == 900_000 + counts.sent  # the counts are kept
    assert row.wrong == counts.wrong
    assert row.replies_per_s.median is row.latency_ns.p50 is row.cpu_s_per_million.sut is None
    assert row.labels == ()


def test_a_trial_that_failed_before_measuring_says_why() -> None:
    trial = made.sample("host-sock", status="failed", counts=None, reason="corpus: get_missing")
    row = table([trial], "host-sock")["host-sock kv"]
    assert (row.status, row.reason) == ("failed", "round 1: corpus: get_missing")
    assert row.sent is None


def test_no_row_is_ever_absent() -> None:
    skipped = {"host-py": "no interpreter"}
    found = table([], "host-py", "host-sock", skipped=skipped, partial=True, reason="interrupted")
    assert list(found) == ["host-py kv", "host-py echo", "host-sock kv", "host-sock echo"]
    assert (found["host-py kv"].status, found["host-py kv"].reason) == ("skipped", "no interpreter")
    assert found["host-sock kv"].status == "skipped"
    assert "interrupted" in found["host-sock kv"].reason
    assert table([], "host-sock")["host-sock kv"].status == "failed"


def test_a_partial_row_says_how_many_rounds_it_has() -> None:
    trials = made.rounds("host-sock", "kv", [100_000, 100_000])
    row = table(trials, "host-sock", rounds=3, partial=True)["host-sock kv"]
    assert row.status == "ok"
    assert "partial: 2 of 3 rounds were run" in row.labels


def test_a_sample_of_another_run_is_refused() -> None:
    with pytest.raises(BadInputError, match="host-py kv, which"):
        table([made.sample("host-py")], "host-sock")


def test_rows_are_set_beside_memcached_echo_and_ceiling() -> None:
    trials = [
        *made.rounds("memcached", "kv", [100_000] * 3),
        *made.rounds("host-sock", "kv", [180_000] * 3),
        *made.rounds("host-sock", "echo", [200_000] * 3, sut_core=made.core(0, 3.0, user_s=0.0)),
        *made.rounds("limit-veth", "echo", [1_000_000] * 3),
    ]
    found = table(trials, "memcached", "host-sock", "limit-veth")
    kv = found["host-sock kv"]
    assert kv.vs_memcached.by_rate == pytest.approx(1.8)
    assert kv.vs_memcached.per_sut_core_s == pytest.approx(1.8)
    assert kv.vs_echo.by_rate == pytest.approx(0.9)
    assert kv.vs_echo.per_sut_core_s == pytest.approx(0.9 * 2.5 / 3.0)
    assert kv.generator_ceiling_per_s == 1_000_000
    assert kv.generator_bound is False
    assert kv.labels == ()
    assert found["host-sock echo"].vs_memcached.by_rate is None


def test_a_failed_null_responder_leaves_the_ceiling_unknown() -> None:
    trials = [
        *made.rounds("host-sock", "kv", [100_000] * 3),
        made.sample("limit-veth", "echo", counts=made.counts(wrong=1)),
    ]
    row = table(trials, "host-sock", "limit-veth")["host-sock kv"]
    assert row.generator_ceiling_per_s is None
    assert row.generator_bound is False  # the core was never idle
    assert any(label.startswith("ceiling unknown: ") for label in row.labels)


@pytest.mark.parametrize(("rate", "bound"), [(769_000, False), (770_000, True)])
def test_a_rate_within_a_third_of_the_ceiling_is_a_floor(rate: int, bound: bool) -> None:
    trials = made.rounds("host-sock", "kv", [rate] * 3)
    trials += made.rounds("limit-veth", "echo", [1_000_000] * 3)
    row = table(trials, "host-sock", "limit-veth")["host-sock kv"]
    assert row.generator_bound is bound
    assert any("the rate is a floor" in label for label in row.labels) is bound


def test_a_ceiling_that_a_row_exceeds_is_doubted() -> None:
    trials = made.rounds("host-sock", "kv", [600_000] * 3)
    trials += made.rounds("limit-veth", "echo", [500_000] * 3)
    row = table(trials, "host-sock", "limit-veth")["host-sock kv"]
    assert row.labels[0].startswith("above the ceiling: ")


@pytest.mark.parametrize(("idle_s", "bound"), [(0.15, False), (0.17, True)])
def test_an_idle_core_makes_the_rate_a_floor(idle_s: float, bound: bool) -> None:
    trials = made.rounds("host-sock", "kv", [100_000] * 3, sut_core=made.core(0, idle_s))
    assert table(trials, "host-sock")["host-sock kv"].generator_bound is bound


def test_the_null_responder_is_not_judged_by_itself() -> None:
    row = table(made.rounds("limit-veth", "echo", [1_000_000] * 3), "limit-veth")["limit-veth echo"]
    assert row.generator_bound is False
    assert any(label.startswith("ceiling: ") for label in row.labels)


def test_labels_name_what_is_unstable() -> None:
    trials = [
        made.sample("host-sock", number=0, tg_core=made.core(1, steal_s=0.3)),
        made.sample(
            "host-sock", number=1, counts=made.counts(700_000, lost=4, late=2, duplicate=1)
        ),
    ]
    row = table(trials, "host-sock", rounds=2)["host-sock kv"]
    unstable = next(label for label in row.labels if label.startswith("may be unstable because "))
    assert "only 2 rounds were run" in unstable
    assert "rounds differ by 25 % of their median" in unstable
    assert "the hypervisor took 4.8 % of the generator's core" in unstable
    assert "2 answers came after the time-out" in unstable
    assert any(label.startswith("lost: 4 of 1,600,004 requests") for label in row.labels)
    assert any(label.startswith("strays: 1 duplicate") for label in row.labels)


def test_what_every_row_says_is_shared() -> None:
    trials = [
        *made.rounds("host-sock", "kv", [100_000] * 3),
        *made.rounds("host-sock", "echo", [100_000, 200_000, 300_000]),
    ]
    found = table(trials, "host-sock", wires={"veth": Standing("lo")}).values()
    (unknown, lo) = caveats.shared(found)
    assert unknown.startswith("ceiling unknown: ")
    assert lo.startswith("wire lo: ")
    assert caveats.shared(list(found)[:1]) == ()


def test_percentiles_merge_all_rounds() -> None:
    buckets = [(100_000, 500), (200_000, 400)], [(200_000, 89), (1_000_000, 10), (9_000_000, 1)]
    latency = percentiles(bucket for trial in buckets for bucket in trial)
    for value, expected in (
        (latency.p50, 100_000),
        (latency.p99, 1_000_000),
        (latency.p999, 1_000_000),
    ):
        assert value == pytest.approx(expected, rel=1e-3)  # three significant digits
    assert latency.hdr is not None
    again = HdrHistogram.decode(latency.hdr)
    assert again.total_count == 1_000
    assert again.get_value_at_percentile(99) == latency.p99
    with pytest.raises(BadInputError, match="outside"):
        percentiles([(2_000_000_000, 1)])


def test_seven_rounds_get_a_bootstrap_interval() -> None:
    few, many = [10.0, 11, 12, 13, 14, 30], [10.0, 11, 12, 13, 14, 15, 90]
    assert interval(few) == ("minmax", Interval(median=12.5, low=10, high=30))
    kind, ends = interval(many)
    assert kind == "bca95"
    assert interval(many) == (kind, ends)  # the same samples give the same report
    assert ends.low is not None and ends.high is not None
    assert 10 <= ends.low <= 13 <= ends.high <= 90
    assert interval([5.0] * 7) == ("minmax", Interval(median=5, low=5, high=5))  # all equal


@given(st.lists(st.floats(1, 1e8), min_size=1, max_size=9))
def test_an_interval_lies_among_its_rounds(rates: list[float]) -> None:
    _, ends = interval(rates)
    assert ends.median == median(rates)
    assert ends.low is not None and ends.high is not None
    assert min(rates) <= ends.low <= ends.high <= max(rates)


numbers = st.integers(0, 10**12)


@given(answered=st.integers(1, 10**12), lost=numbers, late=numbers, off=st.integers(-9, 9))
def test_requests_are_conserved_or_refused(answered: int, lost: int, late: int, off: int) -> None:
    counts = made.counts(answered, lost=lost, late=late, sent=answered + lost + off)
    why = fault(made.sample("host-sock", counts=counts))
    assert bool(why) == (off != 0 or late > lost)


def test_knobs_name_what_sets_a_rung_apart() -> None:
    spec_rung = SpecRung(rung=find("host-mmsg"), services=("kv",), rounds=1)
    spec = made.spec("host-sock").model_copy(update={"rungs": (spec_rung,)})
    (row,) = rows(Setting(spec=spec), [made.sample("host-mmsg")])
    assert row.knobs["batch"] == find("host-mmsg").batch


def swept(trials: list[Sample], axis: str, *points: Point, rungs: str = "host-sock") -> list[Row]:
    """Return the rows of a spec with a sweep."""
    sweep = Sweep.model_validate({"axis": axis, "points": points})
    spec = made.spec(*rungs.split()).model_copy(update={"sweep": sweep})
    return list(rows(Setting(spec=spec), trials))


def test_a_row_for_every_point_in_the_specs_order() -> None:
    small, large = Point(keys=1_000), Point(keys=16_000_000)
    trials = [
        *made.rounds("host-sock", "kv", [50_000] * 3, point=large),
        *made.rounds("host-sock", "kv", [100_000] * 3, point=small),
        *made.rounds("host-sock", "echo", [200_000] * 3, point=small),
    ]
    found = swept(trials, "keys", small, large)
    assert [(row.service, row.point, row.status) for row in found] == [
        ("kv", small, "ok"),
        ("kv", large, "ok"),
        ("echo", small, "ok"),
        ("echo", large, "failed"),
    ]
    assert [row.replies_per_s.median for row in found[:2]] == [100_000, 50_000]
    assert found[0].vs_echo.by_rate == 0.5
    assert found[1].vs_echo.by_rate is None  # the other point's echo is not comparable


def test_a_window_sweep_has_the_window_of_its_point() -> None:
    point = Point(window=4)
    (kv, _) = swept(made.rounds("host-sock", "kv", [1000] * 3, point=point), "window", point)
    assert (kv.window, kv.loop) == (4, "closed")


def paced(share: float, not_sent: int, number: int, lost: int = 0) -> Sample:
    """Return an open-loop trial of three seconds at 100,000/s, with some requests not sent."""
    counts = made.counts(
        300_000 - not_sent - lost, lost=lost, intended=300_000, not_sent=not_sent, slipped_ns=number
    )
    point = Point(peak_share=share, rate_per_s=100_000.0)
    return made.sample("memcached", "kv", number, counts=counts, point=point)


def test_loss_is_of_what_was_intended() -> None:
    trials = [paced(0.8, not_sent, n, lost=n) for n, not_sent in enumerate((0, 299, 28))]
    trials += made.rounds("memcached", "kv", [125_000] * 3)
    closed, row = swept(
        trials, "rate", Point(), Point(peak_share=0.8), rungs="memcached"
    )  # the peak, then a share of it
    assert (closed.loop, closed.intended, closed.loss_ratio.median) == ("closed", None, 0.0)
    assert (row.loop, row.point) == ("open", Point(peak_share=0.8, rate_per_s=100_000.0))
    assert row.loss_ratio_rounds == (0.0, 1e-3, 1e-4)
    assert row.loss_ratio == Interval(median=1e-4, low=0.0, high=1e-3)
    assert (row.loss_interval, row.intended, row.not_sent) == ("minmax", 900_000, 327)
    assert (row.slipped_ns, row.intended_per_s) == (2, 100_000)
    assert row.offered_per_s == pytest.approx((300_000 - 28) / 3)
    assert row.generator_bound is None  # a schedule set the rate
    assert row.vs_memcached.by_rate is None


def test_labels_of_an_open_loop() -> None:
    late = paced(0.5, 30, 0)
    assert late.counts is not None
    late = late.model_copy(
        update={
            "counts": late.counts.model_copy(update={"slipped_ns": 2_500_000}),
            "point": Point(peak_share=0.5, rate_per_s=110_000.0),
        }
    )
    (row,) = swept([late], "rate", Point(peak_share=0.5), rungs="memcached")
    assert any(
        label.startswith("not sent: 30 of 300,000 requests") and "0.010 %" in label
        for label in row.labels
    )
    slipped = next(label for label in row.labels if label.startswith("schedule slipped: "))
    assert "2.5 ms" in slipped
    assert "behind its rate: 100,000/s were due, 110,000/s were asked for" in row.labels
    kinds = {caveats.kind(label) for label in row.labels}
    assert not kinds & {"ceiling unknown", "generator-bound"}
    (calm,) = swept([paced(0.5, 0, 0)], "rate", Point(peak_share=0.5), rungs="memcached")
    assert [caveats.kind(label) for label in calm.labels] == ["unstable", "partial"]


def test_a_sample_of_another_point_is_refused() -> None:
    with pytest.raises(BadInputError, match="memcached kv 7 keys, which"):
        swept([made.sample("memcached", point=Point(keys=7))], "keys", Point(keys=8))


def test_pollers_are_summed_and_a_part_is_unknown() -> None:
    trials = [
        made.sample(
            "host-sock",
            number=n,
            sut_poller=Poller(busy_cycles=10, switches_involuntary=n),
            tg_poller=Poller(busy_cycles=5 if n else None),
        )
        for n in range(3)
    ]
    row = table(trials, "host-sock")["host-sock kv"]
    assert (row.sut_poller.busy_cycles, row.sut_poller.switches_involuntary) == (30, 3)
    assert row.tg_poller.busy_cycles is row.sut_poller.empty_cycles is None
