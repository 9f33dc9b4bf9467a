"""Stage 5: from samples to rows. Every figure is computed from counts, and only here.

A row is made from the trials of one rung and service, checked, summed and turned into rates. A
trial whose counts do not add up, or with a wrong answer or an eviction, fails the row: it has no
rate. Then rows are related: generator ceiling, ratios, labels. The same samples give the same rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from nearmetal.errors import BadInputError
from nearmetal.report import caveats, loss
from nearmetal.report.ceilings import Ceiling
from nearmetal.report.ceilings import of as ceiling
from nearmetal.report.intervals import interval, percentiles
from nearmetal.report.row import (
    Asker,
    Cores,
    CpuSplit,
    FrameBytes,
    Paper,
    PerCore,
    Ratio,
    Row,
    Status,
    TgSplit,
)
from nearmetal.samples import (
    CoreTime,
    Counts,
    Generator,
    Point,
    Poller,
    Resources,
    Sample,
    fault_of,
)
from nearmetal.spec import services, sweep
from nearmetal.spec.experiment import Spec, SpecRung, at, points
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology.known import find


@dataclass(frozen=True)
class Standing:
    """A wire as it was brought up."""

    wire: str
    placement: str | None = None
    generator: str | None = None  # None: the wire's only edition
    cores: Cores = field(default_factory=Cores)
    notes: tuple[str, ...] = ()  # facts that affect figures on the wire; each begins with its kind


@dataclass(frozen=True)
class Setting:
    """Facts that the rows of a run share, and reasons for missing samples."""

    spec: Spec
    # By the wire's name in the rungs (lo stands in for veth); without wires that never came up.
    wires: Mapping[str, Standing] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    partial: bool = False
    reason: str = ""
    paper: Mapping[str, Paper] = field(default_factory=dict)


_Key = tuple[str, Service, Point]


@dataclass(frozen=True)
class _Wanted:
    """A row of the spec."""

    planned: SpecRung
    service: Service
    point: Point

    @property
    def key(self) -> _Key:
        return self.planned.rung.name, self.service, self.point


def rows(setting: Setting, samples: Iterable[Sample]) -> tuple[Row, ...]:
    """Make a row for each rung, service and point of the spec, in its order.

    A row without a measurement has status skipped or failed. BadInputError: a sample's row is not
    in the spec.
    """
    wanted = [
        _Wanted(rung, service, point)
        for rung in setting.spec.rungs
        for service in rung.services
        for point in points(setting.spec)
    ]
    trials: dict[_Key, list[Sample]] = {each.key: [] for each in wanted}
    for sample in samples:
        key = (sample.rung, sample.service, sweep.planned(sample.point))
        if key not in trials:
            where = " ".join(filter(None, (*key[:2], sweep.words(sample.point))))
            raise BadInputError(
                f"samples.jsonl has a trial of {where}, "
                "which spec.json does not name: the folder mixes two runs"
            )
        trials[key].append(sample)
    ceilings = {
        (each.planned.rung.name, each.point): ceiling(
            trials[each.key], fault, partial(_row, setting, each)
        )
        for each in wanted
        if caveats.is_null_responder(each.planned.rung.name) and not sweep.is_open(each.point)
    }
    return _beside_each_other([_row(setting, each, trials[each.key]) for each in wanted], ceilings)


def fault(sample: Sample) -> str:
    """Why a trial fails its row; empty: it does not."""
    counts = sample.counts
    if counts is None:
        return sample.reason or "the trial failed before measuring, without a reason"
    if reason := fault_of(counts, sample.evicted):
        return reason
    return (
        (sample.reason or "the trial failed without a reason") if sample.status == "failed" else ""
    )


def _row(setting: Setting, wanted: _Wanted, trials: Sequence[Sample]) -> Row:
    faults = [f"round {trial.round + 1}: {why}" for trial in trials if (why := fault(trial))]
    if not trials:
        status, reason = _why_no_trial(setting, wanted.planned.rung.name)
        return _identity(setting, wanted, status, reason, trials)
    if faults:
        row = _identity(setting, wanted, "failed", "; ".join(faults), trials)
        return row.model_copy(update=_sums(trials))
    row = _identity(setting, wanted, "ok", "", trials)
    found = _sums(trials) | _speed(trials) | loss.of([t.counts for t in trials if t.counts])
    return row.model_copy(update=found | _cpu(trials))


def _why_no_trial(setting: Setting, rung: str) -> tuple[Status, str]:
    if rung in setting.skipped:
        return "skipped", setting.skipped[rung]
    if setting.partial:
        return "skipped", f"the run ended before it was measured: {setting.reason or 'no reason'}"
    return "failed", "no trial was recorded, and the run names no reason"


def _identity(
    setting: Setting, wanted: _Wanted, status: Status, reason: str, trials: Sequence[Sample]
) -> Row:
    rung, service = wanted.planned.rung, wanted.service
    spec = at(setting.spec, wanted.point)
    request, reply = spec.workload.frame_bytes(service)
    standing = setting.wires.get(rung.wire, Standing(rung.wire))
    accelerator = next((trial.accelerator for trial in trials if trial.accelerator), None)
    return Row(
        rung=rung.name,
        place=rung.place,
        datapath=rung.datapath,
        service=service,
        workload=spec.workload.name,
        loop="open" if sweep.is_open(wanted.point) else "closed",
        point=trials[-1].point if trials else wanted.point,
        window=spec.window.of(rung.wire),
        wire=standing.wire,
        topology=find(rung.wire).shape,
        accelerator=accelerator.name if accelerator else None,
        accelerator_loops_per_s=accelerator.loops_per_s if accelerator else {},
        guest=next((trial.guest for trial in trials if trial.guest), None),
        cores=standing.cores,
        generator=wanted.point.edition or standing.generator or rung.generator,
        status=status,
        reason=reason,
        rounds=len(trials),
        faults=next((each.faults for each in reversed(trials) if each.faults), ""),
        repeated=tuple(f"round {t.round + 1}: {t.repeated}" for t in trials if t.repeated),
        rounds_planned=wanted.planned.rounds,
        knobs=_knobs(rung),
        placement=_placement(standing, trials),
        wire_notes=standing.notes,
        # The paper calls it a key-value store, but its servers answered like an echo: shown with
        # both services.
        paper=setting.paper.get(rung.name),
        frame_bytes=FrameBytes(request=request, reply=reply),
    )


def _placement(standing: Standing, trials: Sequence[Sample]) -> str | None:
    """Placement of the wire, and on a testbed of the NIC's receive processing in the trials."""
    receive = next((trial.receive for trial in trials if trial.receive), "")
    return "; ".join(filter(None, (standing.placement, receive))) or None


def _knobs(rung: Rung) -> dict[str, int | bool | str]:
    """Settings of a rung beyond place and datapath."""
    plain = {"name", "place", "datapath", "wire", "services", "image"}
    return {name: value for name, value in rung.model_dump(exclude=plain).items() if value}


def _sums(trials: Sequence[Sample]) -> dict[str, object]:
    """Sums of counts over all rounds; None if no trial has counts."""
    counted = [trial.counts for trial in trials if trial.counts]
    sums: dict[str, object] = {
        name: _sum_known([getattr(counts, name) for counts in counted])
        for name in Counts.model_fields
    }
    sums["slipped_ns"] = max(
        (c.slipped_ns for c in counted if c.slipped_ns is not None), default=None
    )
    evicted = [trial.evicted for trial in trials if trial.evicted is not None]
    beyond = [_beyond(trial.resources) for trial in trials]
    return sums | {
        "evicted": sum(evicted) if evicted else None,
        "resources": _resources(trials),
        "rss_beyond_budget_bytes": _whole(_median_known(beyond)),
    }


def _resources(trials: Sequence[Sample]) -> Resources:
    """Medians over the trials that have a figure."""
    middles: dict[str, float | int | None] = {}
    for name in Resources.model_fields:
        middle = _median_known([getattr(trial.resources, name) for trial in trials])
        middles[name] = _whole(middle) if name.endswith("_bytes") else middle
    return Resources.model_validate(middles)


def _beyond(resources: Resources) -> int | None:
    """Resident memory without the store's resident part; None: unknown.

    The store's budget is not subtracted, because a store that was never full is not all resident.
    """
    if resources.rss_bytes is None or resources.store_rss_bytes is None:
        return None
    return resources.rss_bytes - resources.store_rss_bytes


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _sum_known(values: Sequence[int | None]) -> int | None:
    """Sum; None if a round's value is unknown, as a partial sum would look like the whole."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _pollers(trials: Sequence[Sample], side: str) -> Poller:
    pollers: list[Poller] = [getattr(trial, side) for trial in trials]
    return Poller(
        **{name: _sum_known([getattr(p, name) for p in pollers]) for name in Poller.model_fields}
    )


def _askers(trials: Sequence[Sample]) -> tuple[Asker, ...]:
    """Each generator's own part, if there are several machines."""
    told: dict[str, list[Generator]] = {}
    for trial in trials:
        for each in trial.generators:
            told.setdefault(each.machine, []).append(each)
    return tuple(map(Asker.over, told.values()))


def _tg_split(trials: Sequence[Sample]) -> TgSplit:
    sums: Counter[str] = Counter()
    for trial in trials:
        sums.update(trial.tg_cycles)
    whole = sums.total()
    if not whole:
        return TgSplit()
    return TgSplit(**{task: sums[task] / whole for task in TgSplit.model_fields if task in sums})


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
        "sut_poller": _pollers(trials, "sut_poller"),
        "tg_poller": _pollers(trials, "tg_poller"),
        "tg_split": _tg_split(trials),
        "generators": _askers(trials),
    }


def _core_sum(cores: Sequence[CoreTime | None]) -> CoreTime | None:
    """Times of one core over all rounds; None if a round lacks them or the core changed."""
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


def _beside_each_other(
    alone: Sequence[Row], ceilings: Mapping[tuple[str, Point], Ceiling]
) -> tuple[Row, ...]:
    """Add the values that need other rows of the run: ceiling, ratios, and then the labels.

    Only rows of one point are compared, and no row of an open loop, whose rate is its schedule's.
    """
    measured = {
        (row.rung, row.service, row.wire, row.point): row
        for row in alone
        if row.status == "ok" and row.loop == "closed"
    }
    # memcached on any wire: if that is not the row's wire, a label says so.
    beside = {row.point: row for row in measured.values() if row.rung == caveats.MEMCACHED_RUNG}
    related = []
    for row in alone:
        if row.status == "ok" and row.loop == "closed":
            found = ceilings.get((find(row.wire).null_responder or "", row.point))
            most = found.per_s if found else None
            memcached = beside.get(row.point)
            if memcached is not None and memcached.service != row.service:
                memcached = None
            twin = services.find(row.service).twin
            echo = measured.get((row.rung, twin, row.wire, row.point)) if twin else None
            update = {
                "generator_ceiling_per_s": most,
                "ceiling_missing": found.missing if found else "",
                "generator_bound": caveats.generator_bound(row, most),
                "vs_memcached": _ratio(row, memcached),
                "vs_echo": _ratio(row, echo),
            }
            row = row.model_copy(update=update)
        related.append(row.model_copy(update={"labels": caveats.of(row)}))
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
