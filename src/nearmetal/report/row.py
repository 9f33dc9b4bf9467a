"""The row of the table: figures of one rung and service of one run.

Objects are always there, and their members are null if a value is unknown, so that
row["replies_per_s"]["median"] is always valid. Units are in the names; docs/reading.md explains
how each figure is measured. Keys may be added, never renamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal

from pydantic import Field

from nearmetal.samples import Frozen, Generator, Guest, Point, Poller, Resources
from nearmetal.spec.rungs import Service
from nearmetal.topology.wire import Shape

Status = Literal["ok", "skipped", "failed"]
IntervalKind = Literal["minmax", "bca95"]


class Cores(Frozen):
    """Numbers of the cores of server and generator."""

    sut: int | None = None
    tg: int | None = None


class Interval(Frozen):
    """Median over the rounds, and the ends of the interval that `interval` names."""

    median: float | None = None
    low: float | None = None
    high: float | None = None


class Latency(Frozen):
    """Percentiles of all right answers of all rounds, from HDR buckets."""

    p50: int | None = None
    p99: int | None = None
    p999: int | None = None
    hdr: str | None = None  # the histogram: HdrHistogram V2 in base64, for other tools


class PerCore(Frozen):
    """One value for the core under test and one for the generator's core."""

    sut: float | None = None
    tg: float | None = None


class CpuSplit(Frozen):
    """CPU seconds of the SUT's core per million right replies, by kind; they sum to the total."""

    user: float | None = None
    system: float | None = None
    softirq: float | None = None
    irq: float | None = None


class TgSplit(Frozen):
    """Shares of the generator's cycles by task; much `empty` means that it waited."""

    receive: float | None = None
    empty: float | None = None
    check: float | None = None
    send: float | None = None


class Asker(Frozen):
    """One of several generators, over the rounds."""

    machine: str
    answered: int
    busy_share: float | None = None  # median share of its cycles in turns that found something
    intended: int | None = None  # open loop
    not_sent: int | None = None
    slipped_ns: int | None = None  # its greatest lateness
    start_late_ns: int = 0  # greatest delay after the common start time
    start_error_ns: int  # greatest error of the clocks' offset

    @classmethod
    def over(cls, rounds: Sequence[Generator]) -> Asker:
        """Combine one machine's part of each round."""
        busy = [each.busy_share for each in rounds if each.busy_share is not None]
        slips = [each.slipped_ns for each in rounds if each.slipped_ns is not None]
        due = [each.intended for each in rounds if each.intended is not None]
        return cls(
            machine=rounds[0].machine,
            answered=sum(each.answered for each in rounds),
            busy_share=median(busy) if busy else None,
            intended=sum(due) if due else None,
            not_sent=sum(each.not_sent or 0 for each in rounds) if due else None,
            slipped_ns=max(slips, default=None),
            start_late_ns=max(each.start_late_ns for each in rounds),
            start_error_ns=max(each.start_error_ns for each in rounds),
        )


class Ratio(Frozen):
    """Ratio of this row over another: per second of the SUT's core (the fair one), and by rate."""

    per_sut_core_s: float | None = None
    by_rate: float | None = None


class FrameBytes(Frozen):
    """Frame lengths of a GET and its answer, with headers, without FCS."""

    request: int = 0
    reply: int = 0


class Paper(Frozen):
    """The paper's figure, measured on another machine; never part of a ratio."""

    replies_per_s: int
    source: str


class Row(Frozen):
    """Figures of one rung and service; counts and duration are sums over the rounds."""

    rung: str
    place: str
    datapath: str | None
    service: Service
    workload: str
    loop: Literal["closed", "open"]
    window: int  # requests in flight; in an open loop the greatest number
    wire: str
    topology: Shape
    accelerator: str | None
    cores: Cores
    generator: str
    status: Status
    reason: str
    labels: tuple[str, ...] = ()
    rounds: int
    interval: IntervalKind | None = None
    placement: str | None
    replies_per_s: Interval = Interval()
    latency_ns: Latency = Latency()
    duration_ns: int | None = None
    sent: int | None = None
    answered: int | None = None
    wrong: int | None = None
    stale: int | None = None
    unexpected_miss: int | None = None
    lost: int | None = None
    late: int | None = None
    duplicate: int | None = None
    evicted: int | None = None
    cpu_s_per_million: PerCore = PerCore()
    busy_cycles_per_reply: float | None = None
    busy_share: float | None = None
    generator_ceiling_per_s: float | None = None
    resources: Resources = Resources()
    paper: Paper | None = None
    # Added later.
    knobs: dict[str, int | bool | str]  # settings beyond place and datapath
    rounds_planned: int
    faults: str = (
        ""  # where a user's service failed first, by class, in the last round that had one
    )
    repeated: tuple[str, ...] = ()  # rounds that were measured a second time, and why
    replies_per_s_rounds: tuple[float, ...] = ()
    unmatched: int | None = None
    gets: int | None = None
    sets: int | None = None
    window_limited: int | None = None
    point: Point = Point()  # on the axis of the spec's sweep
    intended: int | None = None  # open loop: requests that were due = sent + not_sent
    not_sent: int | None = None
    slipped_ns: int | None = None  # open loop: the generator's greatest lateness in all rounds
    malformed: int | None = None
    loss_ratio: Interval = Interval()  # (intended - right answers) / intended, of each round
    loss_interval: IntervalKind | None = None
    loss_ratio_rounds: tuple[float, ...] = ()
    offered_per_s: float | None = None  # requests sent, median over the rounds
    intended_per_s: float | None = None  # requests due; closed loop: null
    sut_poller: Poller = Poller()  # sums over the rounds
    tg_poller: Poller = Poller()
    tg_split: TgSplit = TgSplit()
    generators: tuple[Asker, ...] = ()  # testbed only
    idle_share: PerCore = PerCore()
    steal_share: PerCore = PerCore()
    cpu_split_s_per_million: CpuSplit = CpuSplit()
    replies_per_sut_core_s: float | None = None
    rss_beyond_budget_bytes: int | None = None  # resident memory without the store's
    generator_bound: bool | None = None
    vs_memcached: Ratio = Ratio()
    vs_echo: Ratio = Ratio()
    frame_bytes: FrameBytes = FrameBytes()
    # Virtual machine only: the probe's rate under each accelerator.
    accelerator_loops_per_s: dict[str, float] = Field(default_factory=dict)
    guest: Guest | None = None  # Linux guest only
    ceiling_missing: str = ""  # why the null responder, or one of its rounds, has no figure
    wire_notes: tuple[str, ...] = ()  # facts of the wire that affect figures: kind, colon, meaning
    unchecked_bytes: int | None = None  # of right answers: what a mask leaves out
