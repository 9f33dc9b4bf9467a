"""Samples: the counts of one trial. Every figure is computed from samples.jsonl.

The file has one line per trial, is append-only and versioned. Units are in the names.
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
    """Counts of the measured time; sent = answered + wrong + lost."""

    duration_ns: int
    sent: int
    answered: int  # right answers only
    wrong: int  # stale and unexpected_miss included
    stale: int
    unexpected_miss: int
    lost: int  # late included
    late: int
    duplicate: int
    unmatched: int  # replies whose id was never sent, or is no longer waited for
    gets: int
    sets: int
    window_limited: int
    intended: int | None = None  # open loop: sent + not_sent
    not_sent: int | None = None  # open loop: the ring had no room for 1 ms
    slipped_ns: int | None = None  # open loop: greatest lateness of the generator itself
    malformed: int | None = None  # frame generators: not a valid UDP datagram from the target
    unchecked_bytes: int | None = None  # of right answers: what a mask leaves out (load replay)


def fault_of(counts: Counts, evicted: int | None) -> str:
    """Why a measured trial fails its row; empty: it does not.

    Reasons: counts that do not add up, wrong answers, an eviction although the memory suffices, no
    right answer.
    """
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
    """Place of a trial on a sweep's axis; None: the spec's value."""

    keys: int | None = None
    window: int | None = None
    peak_share: float | None = None  # open loop at this share of the row's closed-loop rate
    rate_per_s: float | None = None  # open loop at this rate; also set if peak_share is
    generators: int | None = None  # number of the testbed's generators in use, from the first on
    edition: str | None = None  # of the generator (topology/wire.py)


class Poller(Frozen):
    """Cycles and context switches of one side's program during the measured time."""

    busy_cycles: int | None = None  # TSC cycles of turns that found something
    empty_cycles: int | None = None  # TSC cycles of turns that found nothing
    switches_voluntary: int | None = None  # context switches of all its threads
    switches_involuntary: int | None = None

    @property
    def busy_share(self) -> float | None:
        """Share of cycles in turns that found something; None: the program does not count them."""
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
        """Seconds in which the core was busy: neither idle nor stolen."""
        return self.user_s + self.system_s + self.softirq_s + self.irq_s


class Resources(Frozen):
    """Costs of a row beside its core's time.

    For ukp: of the image (tender in tender_*). For a virtual machine: of the guest (QEMU, its
    monitor, in vmm_*).
    """

    image_bytes: int | None = None  # program with its shared libraries
    rss_bytes: int | None = None  # whole process, after the measured time
    store_budget_bytes: int | None = None
    start_ms: float | None = None  # exec to the first right answer
    syscalls_per_million: float | None = None  # per million replies
    store_rss_bytes: int | None = None  # resident part of the memory that the store may use
    tender_image_bytes: int | None = None
    tender_rss_bytes: int | None = None
    vmm_image_bytes: int | None = None
    vmm_rss_bytes: int | None = None  # without the guest's memory
    vmm_start_ms: float | None = None  # exec to the image's first line; part of start_ms


class Accelerator(Frozen):
    """Accelerator that runs a virtual machine's instructions, chosen by a calibrated run."""

    name: Literal["kvm", "tcg"]
    cpu: str  # QEMU's CPU model
    loops_per_s: dict[str, float] = {}  # accelerator -> iterations of a simple loop
    missing: dict[str, str] = {}  # accelerator that could not be tried -> why
    forced: bool = False  # the spec names it


class Guest(Frozen):
    """Facts that a Linux guest prints after it has booted."""

    kernel: str  # uname -r
    vcpus: int
    clock: str  # its clock source
    uptime_ms: int  # from the kernel's start to its first process
    mitigations: dict[str, str] = {}  # /sys/devices/system/cpu/vulnerabilities


class Generator(Frozen):
    """One generator's part of a trial with several machines; the sample's counts are the sums."""

    machine: str
    answered: int
    sent: int
    busy_share: float | None = None  # share of its cycles in turns that found something
    slipped_ns: int | None = None  # open loop
    intended: int | None = None  # open loop: requests due at its share of the rate
    not_sent: int | None = None
    start_late_ns: int = 0  # start after the common start time, by its own clock
    start_error_ns: int  # greatest error of the clocks' offset


class Sample(Frozen):
    """One trial of one rung and service."""

    version: int = SAMPLE_VERSION
    rung: str
    service: ServiceName
    round: int  # from 0
    status: Literal["ok", "failed"]
    reason: str = ""
    started_utc: str  # ISO 8601
    counts: Counts | None = None  # None only if the trial failed before measuring
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
    generators: tuple[Generator, ...] = ()  # testbed only
    receive: str = ""  # testbed only: where the server's receive processing runs, in words
    accelerator: Accelerator | None = None  # virtual machine only
    guest: Guest | None = None  # Linux guest only
    against: str | None = None  # name of the other tree, if its programs were measured
    repeated: str = ""  # second try of a trial: why the first had no answer
    faults: str = ""  # where a user's service failed first, by class


def append(path: Path, sample: Sample) -> None:
    """Append one line, whole or not at all: a run that is killed keeps every finished trial."""
    append_whole(path, sample.model_dump_json())


def read(path: Path) -> Iterator[Sample]:
    """Read every whole line of samples.jsonl; `is_torn` says whether a cut line follows.

    BadInputError: a line is malformed.
    """
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
    """Whether the file's last line was cut off, by a kill or a power failure."""
    with path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - 1))
        return file.read(1) not in (b"", b"\n")
