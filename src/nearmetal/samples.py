"""Samples: what one trial counted. samples.jsonl is the truth; every figure is computed from it.

A line a trial, append-only, counts first, versioned. Units are in the names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nearmetal.errors import BadInputError
from nearmetal.paths import append_whole

SAMPLE_VERSION = 1

# Not checked against the table: a run folder may come from a tree with other services.
ServiceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$", max_length=12)]


class Frozen(BaseModel):
    """Base of every value that flows between stages: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Counts(Frozen):
    """Of the measured time (design: sent = answered + wrong + lost)."""

    duration_ns: int
    sent: int
    answered: int  # right answers only
    wrong: int  # stale and unexpected_miss included
    stale: int
    unexpected_miss: int
    lost: int  # late included
    late: int
    duplicate: int
    unmatched: int  # replies whose id was never sent or already rests
    gets: int
    sets: int
    window_limited: int
    intended: int | None = None  # open loop: sent + not_sent
    not_sent: int | None = None  # open loop: found no room for 1 ms
    slipped_ns: int | None = None  # open loop: the most by which the generator itself was late
    malformed: int | None = None  # frame generators: no sound UDP datagram from the target to us


def fault_of(counts: Counts, evicted: int | None) -> str:
    """Why a trial that was measured fails its row (the counts' own rules, a wrong answer, an item
    evicted though the memory suffices); empty: nothing is wrong with it."""
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
    if evicted:
        return f"the server evicted {evicted:,} items: its memory was too small"
    if counts.duration_ns <= 0 or counts.answered <= 0:
        return f"no right answer to {counts.sent:,} requests"
    return ""


class Point(Frozen):
    """Where on a sweep's axis a trial lies; None: as the spec says."""

    keys: int | None = None
    window: int | None = None
    peak_share: float | None = None  # open loop at this share of the row's closed-loop rate
    rate_per_s: float | None = None  # open loop at this rate; set too where peak_share is
    generators: int | None = None  # so many of a testbed's machines ask, from the first on


class Poller(Frozen):
    """One side's polling program during the measured time."""

    busy_cycles: int | None = None  # TSC cycles of turns that found something
    empty_cycles: int | None = None  # of turns that found nothing
    switches_voluntary: int | None = None  # context switches, of all its threads
    switches_involuntary: int | None = None

    @property
    def busy_share(self) -> float | None:
        """Of its cycles, those of turns that found something; None: it does not count them."""
        if self.busy_cycles is None or self.empty_cycles is None:
            return None
        whole = self.busy_cycles + self.empty_cycles
        return self.busy_cycles / whole if whole else None


class CoreTime(Frozen):
    """CPU time of one core during the measured time, from /proc/stat, in seconds."""

    cpu: int
    user_s: float
    system_s: float
    softirq_s: float
    irq_s: float
    steal_s: float
    idle_s: float  # idle + iowait

    @property
    def busy_s(self) -> float:
        """Seconds in which the core did something for us: all but idle and stolen."""
        return self.user_s + self.system_s + self.softirq_s + self.irq_s


class Resources(Frozen):
    """What a row costs beside its core. Of the place ukp the image's; the tender's stand apart. Of
    a virtual machine the guest's; those of QEMU, its monitor (VMM), stand apart."""

    image_bytes: int | None = None  # program with its shared libraries
    rss_bytes: int | None = None  # whole process, after the measured time
    store_budget_bytes: int | None = None
    start_ms: float | None = None  # exec to the first right answer
    syscalls_per_million: float | None = None  # per million replies
    store_rss_bytes: int | None = None  # of the memory that the store may use, what is resident
    tender_image_bytes: int | None = None
    tender_rss_bytes: int | None = None
    vmm_image_bytes: int | None = None
    vmm_rss_bytes: int | None = None  # without the guest's memory
    vmm_start_ms: float | None = None  # exec to the image's first line; part of start_ms


class Accelerator(Frozen):
    """What a virtual machine's instructions are run by, chosen by a calibrated run."""

    name: Literal["kvm", "tcg"]
    cpu: str  # QEMU's CPU model
    loops_per_s: dict[str, float] = {}  # turns of a simple loop, under each that could be tried
    missing: dict[str, str] = {}  # those that could not, and why
    forced: bool = False  # the spec names it


class Guest(Frozen):
    """What a Linux guest tells of itself when it has booted."""

    kernel: str  # uname -r
    vcpus: int
    clock: str  # its clock source
    uptime_ms: int  # from the kernel's start to its first process
    mitigations: dict[str, str] = {}  # /sys/devices/system/cpu/vulnerabilities


class Generator(Frozen):
    """One of several generators, of several machines; the sample's counts are the sums."""

    machine: str
    answered: int
    sent: int
    busy_share: float | None = None  # of its cycles, in turns that found something to do
    slipped_ns: int | None = None  # open loop
    intended: int | None = None  # open loop: of its share of the rate
    not_sent: int | None = None
    start_late_ns: int = 0  # by its own clock, after the time at which all were to start
    start_error_ns: int  # and the clocks' offset is known to this


class Sample(Frozen):
    """One trial of one rung and service."""

    version: int = SAMPLE_VERSION
    rung: str
    service: ServiceName
    round: int  # from 0
    status: Literal["ok", "failed"]
    reason: str = ""
    started_utc: str  # ISO 8601
    counts: Counts | None = None  # None only where the trial failed before measuring
    latency: list[tuple[int, int]] = []  # [value_ns, count], HDR buckets of right answers
    evicted: int | None = None
    sut_core: CoreTime | None = None
    tg_core: CoreTime | None = None
    busy_cycles_per_reply: float | None = None
    busy_share: float | None = None
    tg_cycles: dict[str, int] = {}
    sut_poller: Poller = Poller()
    tg_poller: Poller = Poller()
    point: Point = Point()
    tsc_hz: int | None = None
    resources: Resources = Resources()
    generators: tuple[Generator, ...] = ()  # of a testbed
    receive: str = ""  # of a testbed: where the server's receive processing is done, in words
    accelerator: Accelerator | None = None  # of a virtual machine
    guest: Guest | None = None  # of Linux in one
    against: str | None = None  # of the other tree's programs: what that is called
    repeated: str = ""  # of a trial's second try: why the first gave nothing


def append(path: Path, sample: Sample) -> None:
    """Append one line, whole or not at all: a killed run keeps every finished trial."""
    append_whole(path, sample.model_dump_json())


def read(path: Path) -> Iterator[Sample]:
    """Every whole line of samples.jsonl; `is_torn` tells of another one at its end."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield Sample.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "the whole"
                raise BadInputError(
                    f"{path}:{number}: {error.title}: {where}: {first['msg']}"
                ) from error


def is_torn(path: Path) -> bool:
    """Whether its last line was cut off, by a kill or by the end of the machine's power."""
    with path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - 1))
        return file.read(1) not in (b"", b"\n")
