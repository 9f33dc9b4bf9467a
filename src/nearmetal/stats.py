"""Stage 5: from samples to rows. Every figure is computed from counts, here and nowhere else.

A row starts from the trials of one rung and service: checked (a trial whose counts do not add
up, or that saw a wrong answer or an eviction, fails the row and leaves it without speed), summed,
turned into rates. Then rows are set beside each other: generator ceiling, ratios, labels. Pure:
same samples, same rows.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from hdrh.histogram import HdrHistogram

from nearmetal import labels
from nearmetal.errors import BadInputError
from nearmetal.rows import (
    Cores,
    CpuSplit,
    Interval,
    IntervalKind,
    Latency,
    Paper,
    PerCore,
    Ratio,
    Row,
    Status,
)
from nearmetal.rungs import Rung, Service
from nearmetal.samples import CoreTime, Counts, Resources, Sample
from nearmetal.spec import Spec, SpecRung

BCA_ROUNDS_MIN = 7  # below that, a bootstrap of the median says less than its two ends
BCA_RESAMPLES = 9999
LATENCY_NS_MAX = 1_000_000_000  # as the generator's own buckets
LATENCY_DIGITS = 3
MEMCACHED_RUNG = "memcached"


@dataclass(frozen=True)
class Setting:
    """What all rows of a run share, and why some of them may have no samples."""

    spec: Spec
    wire: str | None = None  # None: the topology never came up, the spec's wire is named
    placement: str | None = None
    cores: Cores = field(default_factory=Cores)
    skipped: Mapping[str, str] = field(default_factory=dict)
    partial: bool = False
    reason: str = ""
    paper: Mapping[str, Paper] = field(default_factory=dict)


def rows(setting: Setting, samples: Iterable[Sample]) -> tuple[Row, ...]:
    """A row for each rung and service of the spec, in its order, whatever became of it."""
    wanted = [(rung, service) for rung in setting.spec.rungs for service in rung.services]
    trials: dict[tuple[str, Service], list[Sample]] = {
        (rung.rung.name, service): [] for rung, service in wanted
    }
    for sample in samples:
        if (sample.rung, sample.service) not in trials:
            raise BadInputError(
                f"samples.jsonl holds a trial of {sample.rung} {sample.service}, "
                "which spec.json does not name: the folder mixes two runs"
            )
        trials[sample.rung, sample.service].append(sample)
    alone = [
        _row(setting, rung, service, trials[rung.rung.name, service]) for rung, service in wanted
    ]
    return _beside_each_other(alone)


def fault(sample: Sample) -> str:
    """Why a trial fails its row; empty when nothing is wrong with it."""
    counts = sample.counts
    if counts is None:
        return sample.reason or "the trial failed before measuring, without a reason"
    if counts.sent != counts.answered + counts.wrong + counts.lost:
        return (
            f"counts do not add up: sent {counts.sent:,} is not answered {counts.answered:,} + "
            f"wrong {counts.wrong:,} + lost {counts.lost:,}"
        )
    if counts.wrong < counts.stale + counts.unexpected_miss or counts.lost < counts.late:
        return "counts do not add up: a part is larger than its whole"
    if counts.wrong > 0:
        return (
            f"{counts.wrong:,} wrong answers of {counts.sent:,} ({counts.stale:,} stale, "
            f"{counts.unexpected_miss:,} unexpected misses)"
        )
    if sample.evicted:
        return f"the server evicted {sample.evicted:,} items: its memory was too small"
    if sample.status == "failed":
        return sample.reason or "the trial failed without a reason"
    if counts.duration_ns <= 0 or counts.answered <= 0:
        return f"no right answer to {counts.sent:,} requests"
    return ""


def interval(values: Sequence[float]) -> tuple[IntervalKind, Interval]:
    """Median, and the interval that so many rounds allow."""
    middle, low, high = median(values), min(values), max(values)
    kind: IntervalKind = "minmax"
    if len(values) >= BCA_ROUNDS_MIN and (ends := _bca95(values)):
        kind, (low, high) = "bca95", ends
    return kind, Interval(median=middle, low=low, high=high)


def percentiles(buckets: Iterable[tuple[int, int]]) -> Latency:
    """Merge HDR buckets of any number of rounds and read the percentiles."""
    histogram = HdrHistogram(1, LATENCY_NS_MAX, LATENCY_DIGITS)
    for value_ns, count in buckets:
        if not histogram.record_value(value_ns, count):
            raise BadInputError(f"samples.jsonl holds a latency of {value_ns} ns, outside 0..1 s")
    if histogram.total_count == 0:
        return Latency()
    return Latency(
        p50=histogram.get_value_at_percentile(50),
        p99=histogram.get_value_at_percentile(99),
        p999=histogram.get_value_at_percentile(99.9),
        hdr=histogram.encode().decode("ascii"),
    )


def _bca95(values: Sequence[float]) -> tuple[float, float] | None:
    """None where BCa is undefined: leaving any one round out leaves the median where it was."""
    # scipy belongs to the extra `report`; runs of few rounds do without it.
    import numpy
    from scipy.stats import bootstrap  # type: ignore[attr-defined]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about exactly that; the NaN below is the answer
        result = bootstrap(
            (numpy.asarray(values),),
            numpy.median,
            confidence_level=0.95,
            n_resamples=BCA_RESAMPLES,
            method="BCa",
            rng=numpy.random.default_rng(1),  # the same samples give the same report
        )
    low, high = map(float, result.confidence_interval)
    if math.isnan(low) or math.isnan(high):
        return None
    return max(low, min(values)), min(high, max(values))  # interpolation may miss the last bit


def _row(setting: Setting, planned: SpecRung, service: Service, trials: Sequence[Sample]) -> Row:
    faults = [f"round {trial.round + 1}: {why}" for trial in trials if (why := fault(trial))]
    if not trials:
        status, reason = _why_no_trial(setting, planned.rung.name)
        return _identity(setting, planned, service, status, reason, 0)
    if faults:
        row = _identity(setting, planned, service, "failed", "; ".join(faults), len(trials))
        return row.model_copy(update=_sums(trials))
    row = _identity(setting, planned, service, "ok", "", len(trials))
    return row.model_copy(update=_sums(trials) | _speed(trials) | _cpu(trials))


def _why_no_trial(setting: Setting, rung: str) -> tuple[Status, str]:
    if rung in setting.skipped:
        return "skipped", setting.skipped[rung]
    if setting.partial:
        return "skipped", f"the run ended before it was measured: {setting.reason or 'no reason'}"
    return "failed", "no trial was recorded, and the run names no reason"


def _identity(
    setting: Setting,
    planned: SpecRung,
    service: Service,
    status: Status,
    reason: str,
    rounds: int,
) -> Row:
    rung = planned.rung
    return Row(
        rung=rung.name,
        place=rung.place,
        datapath=rung.datapath,
        service=service,
        workload=setting.spec.workload.name,
        loop="closed",
        window=setting.spec.window,
        wire=setting.wire or rung.wire,
        topology="p2p",
        accelerator=None,
        cores=setting.cores,
        generator="nm-load",
        status=status,
        reason=reason,
        rounds=rounds,
        rounds_planned=planned.rounds,
        knobs=_knobs(rung),
        placement=setting.placement,
        # The paper's table calls its rows a key-value store.
        paper=setting.paper.get(rung.name) if service == "kv" else None,
    )


def _knobs(rung: Rung) -> dict[str, int | bool]:
    """What is set beyond place and datapath."""
    plain = {"name", "place", "datapath", "wire", "services"}
    return {name: value for name, value in rung.model_dump(exclude=plain).items() if value}


def _sums(trials: Sequence[Sample]) -> dict[str, object]:
    """Counts over all rounds; null where no trial came as far as counting."""
    counted = [trial.counts for trial in trials if trial.counts]
    sums: dict[str, object] = {
        name: sum(getattr(counts, name) for counts in counted) if counted else None
        for name in Counts.model_fields
    }
    evicted = [trial.evicted for trial in trials if trial.evicted is not None]
    return sums | {"evicted": sum(evicted) if evicted else None, "resources": _resources(trials)}


def _resources(trials: Sequence[Sample]) -> Resources:
    """Median over the trials that know a figure."""
    middles: dict[str, float | int | None] = {}
    for name in Resources.model_fields:
        known = [value for t in trials if (value := getattr(t.resources, name)) is not None]
        middle = median(known) if known else None
        whole = name.endswith("_bytes") and middle is not None
        middles[name] = round(middle) if whole and middle is not None else middle
    return Resources.model_validate(middles)


def _speed(trials: Sequence[Sample]) -> dict[str, object]:
    counted = [trial.counts for trial in trials if trial.counts]
    rates = tuple(counts.answered * 1e9 / counts.duration_ns for counts in counted)
    kind, ends = interval(rates)
    return {
        "interval": kind,
        "replies_per_s": ends,
        "replies_per_s_rounds": rates,
        "latency_ns": percentiles(bucket for trial in trials for bucket in trial.latency),
    }


def _cpu(trials: Sequence[Sample]) -> dict[str, object]:
    answered = sum(trial.counts.answered for trial in trials if trial.counts)
    sut = _core_sum([trial.sut_core for trial in trials])
    tg = _core_sum([trial.tg_core for trial in trials])
    sut_s = sut.busy_s if sut else None
    tg_s = tg.busy_s if tg else None
    return {
        "cpu_s_per_million": PerCore(
            sut=_per_million(sut_s, answered), tg=_per_million(tg_s, answered)
        ),
        "cpu_split_s_per_million": _split(sut, answered),
        "replies_per_sut_core_s": answered / sut_s if sut_s else None,
        "idle_share": PerCore(
            sut=_share(sut, lambda core: core.idle_s), tg=_share(tg, lambda core: core.idle_s)
        ),
        "steal_share": PerCore(
            sut=_share(sut, lambda core: core.steal_s), tg=_share(tg, lambda core: core.steal_s)
        ),
        "busy_cycles_per_reply": _median_known([t.busy_cycles_per_reply for t in trials]),
        "busy_share": _median_known([t.busy_share for t in trials]),
    }


def _core_sum(cores: Sequence[CoreTime | None]) -> CoreTime | None:
    """Times of one core over all rounds; None when a round lacks them or the core changed."""
    known = [core for core in cores if core]
    if len(known) < len(cores) or len({core.cpu for core in known}) != 1:
        return None
    times = [name for name in CoreTime.model_fields if name != "cpu"]
    sums = {name: sum(getattr(core, name) for core in known) for name in times}
    return CoreTime(cpu=known[0].cpu, **sums)


def _share(core: CoreTime | None, part: Callable[[CoreTime], float]) -> float | None:
    whole = core.busy_s + core.idle_s + core.steal_s if core else 0.0
    return part(core) / whole if core and whole > 0 else None


def _per_million(seconds: float | None, answered: int) -> float | None:
    return None if seconds is None else seconds * 1e6 / answered


def _split(core: CoreTime | None, answered: int) -> CpuSplit:
    if core is None:
        return CpuSplit()
    return CpuSplit(
        user=_per_million(core.user_s, answered),
        system=_per_million(core.system_s, answered),
        softirq=_per_million(core.softirq_s, answered),
        irq=_per_million(core.irq_s, answered),
    )


def _median_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _beside_each_other(alone: Sequence[Row]) -> tuple[Row, ...]:
    """What a row is only next to others of its run: ceiling, ratios; labels come last."""
    measured = {(row.rung, row.service, row.wire): row for row in alone if row.status == "ok"}
    related = []
    for row in alone:
        if row.status == "ok":
            null_responder = measured.get(
                (labels.NULL_RESPONDER.get(row.wire, ""), "echo", row.wire)
            )
            ceiling = null_responder.replies_per_s.median if null_responder else None
            kv = row.service == "kv"
            memcached = measured.get((MEMCACHED_RUNG, "kv", row.wire)) if kv else None
            echo = measured.get((row.rung, "echo", row.wire)) if kv else None
            update = {
                "generator_ceiling_per_s": ceiling,
                "generator_bound": labels.generator_bound(row, ceiling),
                "vs_memcached": _ratio(row, memcached),
                "vs_echo": _ratio(row, echo),
            }
            row = row.model_copy(update=update)
        related.append(row.model_copy(update={"labels": labels.of(row)}))
    return tuple(related)


def _ratio(row: Row, base: Row | None) -> Ratio:
    if base is None:
        return Ratio()
    return Ratio(
        per_sut_core_s=_over(row.replies_per_sut_core_s, base.replies_per_sut_core_s),
        by_rate=_over(row.replies_per_s.median, base.replies_per_s.median),
    )


def _over(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None
