"""Labels: sentences with what a reader must know before trusting or comparing a row.

Each label starts with its kind ("generator-bound", "may be unstable", ...), so that a narrow table
can show the kind alone. A threshold in this file adds a label; it never drops a row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from nearmetal.report.row import Asker, Row
from nearmetal.spec import rungs, services
from nearmetal.spec.rungs import PLACES
from nearmetal.topology.known import find, limited_by

WAIT_SHARE_MAX = 0.05  # share of the SUT core's time, idle or in empty polls
CEILING_MARGIN = 1.3  # a rate above ceiling / 1.3 counts as limited by the generator
ROUNDS_MIN = 3
SPREAD_MAX = 0.10  # (highest - lowest round) / median
STEAL_SHARE_MAX = 0.01  # share of either core's time that a hypervisor took
SLIPPED_NS_MAX = 100_000  # a generator later than this changes the percentiles
BEHIND_MAX = 0.01  # share of the intended rate that was never due
APART_SHARE_MAX = 0.01  # share of the measured time in which not all generators sent
MEMCACHED_RUNG = "memcached"
_KIND = re.compile(r"[\w ]{1,20}: ")
SMALL_PAGES = "small pages"  # kind of a note of topology/wires/vhost_user.py


def of(row: Row) -> tuple[str, ...]:
    """Return every label of a row; none if it has no figures."""
    if row.status != "ok":
        return ()
    found = (
        _ceiling(row),
        _bound(row),
        _unstable(row),
        _rounds(row),
        _repeated(row),
        *_schedule(row),
        *_generators(row),
        _lost(row),
        _strays(row),
        _unchecked(row),
        f"faults: {row.faults}" if row.faults else "",
        _paper(row),
        _wire(row),
        *_standing(row),
        _place(row),
        _cycles(row),
        _accelerator(row),
        _guest(row),
    )
    return tuple(label for label in found if label)


def shared(rows: Iterable[Row]) -> tuple[str, ...]:
    """Labels that every measured row has; a table shows them once."""
    measured = [row.labels for row in rows if row.status == "ok"]
    if len(measured) < 2:
        return ()
    return tuple(label for label in measured[0] if all(label in each for each in measured))


def kind(label: str) -> str:
    """Kind of a label: its first words, for narrow tables."""
    return label.split(":")[0].split(" because")[0].removeprefix("may be ")


def across_wires(row: Row) -> bool:
    """Whether the row's ratio to memcached compares two wires."""
    return row.vs_memcached.by_rate is not None and not find(row.wire).sockets


def is_null_responder(rung: str) -> bool:
    """Whether a rung is the null responder of a wire: its rate is the generator's ceiling."""
    return bool(limited_by(rung))


def generator_bound(row: Row, ceiling_per_s: float | None) -> bool | None:
    """Whether the generator, not the row, limited the rate; None: cannot be judged."""
    waits = _waits(row)
    near = None if is_null_responder(row.rung) else _near_ceiling(row, ceiling_per_s)
    if any(share > WAIT_SHARE_MAX for share in waits) or near:
        return True
    return False if waits or near is not None else None


def _waits(row: Row) -> list[float]:
    """Shares of the SUT core's time without work: idle, and in empty polls."""
    idle = [row.idle_share.sut] if row.idle_share.sut is not None else []
    return idle + ([1 - row.busy_share] if row.busy_share is not None else [])


def _near_ceiling(row: Row, ceiling_per_s: float | None) -> bool | None:
    rate = row.replies_per_s.median
    if ceiling_per_s is None or rate is None:
        return None
    return rate > ceiling_per_s / CEILING_MARGIN


def _ceiling(row: Row) -> str:
    if row.loop == "open":
        return ""
    if is_null_responder(row.rung):
        return (
            "ceiling: the most that the generator can do on this wire and window; without a store,"
            " so not to be compared" + _wall(row)
        )
    if row.generator_ceiling_per_s is None:
        failed = f" ({row.ceiling_missing})" if row.ceiling_missing else ""
        why = (
            f"the null responder gave no figure in this run{failed}"
            if _has_null_responder(row)
            else f"{row.wire} has no null responder"
        )
        return f"ceiling unknown: {why}, so generator-bound is judged by idle time only"
    if row.replies_per_s.median and row.replies_per_s.median > row.generator_ceiling_per_s:
        return (
            "above the ceiling: the null responder was slower than this row, so it was slowed down"
            " itself, and the ceiling of this run is too low"
        )
    if row.ceiling_missing:
        return f"ceiling of fewer rounds: of the null responder {row.ceiling_missing}"
    return ""


def _has_null_responder(row: Row) -> bool:
    """Whether the row's wire has a null responder that applies to the row.

    One on a wire between machines applies only to rows of several machines.
    """
    name = find(row.wire).null_responder
    if name is None:
        return False
    own = rungs.find(name).wire
    return own == row.wire or not find(own).between_machines or bool(row.generators)


def _wall(row: Row) -> str:
    """Say which side limited the null responder's row; empty: a side does not count its turns."""
    responder, generator = row.sut_poller.busy_share, row.tg_poller.busy_share
    if responder is None or generator is None:
        return ""
    name = "the generator" if generator >= responder else "the responder"
    if max(responder, generator) < 1 - WAIT_SHARE_MAX:
        name = "the path between the two, as neither was busy all the time"
    return (
        f"; the limit is {name}: the generator's turns were busy for {_percent(generator)} of their"
        f" cycles, the responder's for {_percent(responder)}"
    )


def _bound(row: Row) -> str:
    if not row.generator_bound:
        return ""
    why = []
    wait = max(_waits(row), default=0.0)
    if wait > WAIT_SHARE_MAX:
        why.append(f"the SUT's core had no work for {_percent(wait)} of the time")
    ceiling = row.generator_ceiling_per_s
    if not is_null_responder(row.rung) and ceiling and _near_ceiling(row, ceiling):
        why.append(f"the generator's ceiling is {ceiling:,.0f}/s")
    return "generator-bound: the rate is a floor, as " + " and ".join(why)


def _unstable(row: Row) -> str:
    why = []
    rates, middle = row.replies_per_s_rounds, row.replies_per_s.median
    if row.rounds < ROUNDS_MIN:
        why.append(
            "only one round was run" if row.rounds == 1 else f"only {row.rounds} rounds were run"
        )
    if middle and (max(rates) - min(rates)) / middle > SPREAD_MAX:
        spread = _percent((max(rates) - min(rates)) / middle)
        why.append(f"rounds differ by {spread} of their median")
    for name, steal in (("SUT", row.steal_share.sut), ("generator", row.steal_share.tg)):
        if steal is not None and steal > STEAL_SHARE_MAX:
            why.append(f"the hypervisor took {_percent(steal)} of the {name}'s core")
    if row.late:
        why.append(f"{row.late:,} answers came after the time-out")
    return "may be unstable because " + ", and ".join(why) if why else ""


def _rounds(row: Row) -> str:
    if row.rounds >= row.rounds_planned:
        return ""
    return f"partial: {row.rounds} of {row.rounds_planned} rounds were run"


def _schedule(row: Row) -> Iterator[str]:
    """Labels of an open loop whose schedule was not kept."""
    if row.not_sent and row.intended:
        yield (
            f"not sent: {row.not_sent:,} of {row.intended:,} requests that were due found no room "
            f"for 1 ms ({_percent(row.not_sent / row.intended)})"
        )
    if row.slipped_ns is not None and row.slipped_ns > SLIPPED_NS_MAX:
        yield (
            f"schedule slipped: the generator itself was late by up to {row.slipped_ns / 1e6:.2g} "
            "ms; latency counts from when a request was due, so it includes this delay"
        )
    wanted, due = row.point.rate_per_s, row.intended_per_s
    if wanted and due is not None and due < wanted * (1 - BEHIND_MAX):
        yield f"behind its rate: {due:,.0f}/s were due, {wanted:,.0f}/s were asked for"


def _generators(row: Row) -> Iterator[str]:
    """Labels of several generators: at their limit, off schedule, or uneven."""
    full = [
        f"{each.machine} {_percent(each.busy_share)}"
        for each in row.generators
        if each.busy_share is not None and each.busy_share > 1 - WAIT_SHARE_MAX
    ]
    if full:
        yield (
            f"generators busy: {', '.join(full)} of their cycles; one more machine may raise the"
            " rate"
        )
    behind = [
        f"{each.machine} {', '.join(why)}" for each in row.generators if (why := _behind(row, each))
    ]
    if behind:
        yield f"generators off schedule: {'; '.join(behind)}"
    parts = [each.answered for each in row.generators]
    if len(parts) > 1 and max(parts) - min(parts) > SPREAD_MAX * max(parts):
        told = ", ".join(f"{each.machine} {each.answered:,}" for each in row.generators)
        yield f"uneven generators: right answers {told}"


def _behind(row: Row, asker: Asker) -> list[str]:
    """Reasons why one of several generators was off schedule."""
    why = []
    round_ns = (row.duration_ns or 0) / max(1, row.rounds)
    if asker.start_late_ns + asker.start_error_ns > round_ns * APART_SHARE_MAX:
        late, unsure = asker.start_late_ns / 1e6, asker.start_error_ns / 1e6
        why.append(f"began {late:.2g} ms late, by a clock known to {unsure:.2g} ms")
    if asker.slipped_ns is not None and asker.slipped_ns > SLIPPED_NS_MAX:
        why.append(f"was late by up to {asker.slipped_ns / 1e6:.2g} ms")
    if asker.not_sent and asker.intended:
        share = _percent(asker.not_sent / asker.intended)
        why.append(f"did not send {asker.not_sent:,} of {asker.intended:,} ({share})")
    return why


def _repeated(row: Row) -> str:
    if not row.repeated:
        return ""
    return f"repeated: the first try had no answer ({'; '.join(row.repeated)})"


def _lost(row: Row) -> str:
    if not row.lost or not row.sent:
        return ""
    return f"lost: {row.lost:,} of {row.sent:,} requests ({_percent(row.lost / row.sent)})"


def _strays(row: Row) -> str:
    strays = [
        f"{count:,} {name}"
        for name, count in (("duplicate", row.duplicate), ("unmatched", row.unmatched))
        if count
    ]
    return "strays: " + " and ".join(strays) + " replies, counted apart" if strays else ""


def _unchecked(row: Row) -> str:
    if not row.unchecked_bytes or not row.answered:
        return ""
    mean = row.unchecked_bytes / row.answered
    return f"unchecked: {mean:.3g} bytes of a reply, which its service says cannot be foreseen"


def _wire(row: Row) -> str:
    wire = find(row.wire)
    if wire.caveat:
        return wire.caveat
    if across_wires(row):
        same = wire.generator == rungs.find(MEMCACHED_RUNG).generator
        how = "" if same else " by another generator"
        return (
            f"across wires: memcached was measured over the kernel's sockets, this row on"
            f" {row.wire}{how}; the ratio includes the difference of the wires"
        )
    return ""


def _standing(row: Row) -> Iterator[str]:
    """Notes of the row's wire that begin with a kind; small pages only for rungs with hugepages.

    Notes of older runs have no kind; only the page shows them.
    """
    for note in row.wire_notes:
        of_others = note.startswith(SMALL_PAGES) and not row.knobs.get("hugepages")
        if _KIND.match(note) and not of_others:
            yield note


def _paper(row: Row) -> str:
    """Describe the frames of the workload `paper` and how they differ from the paper's."""
    if row.workload != "paper":
        return ""
    frames = f"requests of {row.frame_bytes.request} bytes, replies of {row.frame_bytes.reply}"
    if not services.find(row.service).stores:
        return f"frames: {frames} (without FCS), an 8-byte stamp in each"
    beside = "; the paper's figure is of a server that answered like an echo" if row.paper else ""
    return f"frames: {frames} (without FCS), GETs of a real store{beside}"


def _place(row: Row) -> str:
    if row.place == "image":
        return (
            f"{PLACES['image']}: the corpus was not run, as the image is not ours; every answer was"
            " still checked"
        )
    if row.place != "ukp":
        return ""
    return (
        f"{PLACES['ukp']}: the unikernel's own code, without a virtual machine; a tender makes its"
        " vhost-user connection, and the tender's costs are listed apart"
    )


def counts_whole_time(row: Row) -> bool:
    """Whether the row's cycles are its core's whole time.

    An image that is not ours does not count the turns that found nothing.
    """
    return row.place == "image" and row.busy_cycles_per_reply is not None


def _cycles(row: Row) -> str:
    if not counts_whole_time(row):
        return ""
    return (
        "whole cycles: the cycles of its core's whole time, including empty polls if it polls; our"
        " rows on this wire count only turns that found something"
    )


def _accelerator(row: Row) -> str:
    if row.accelerator is None:
        return ""
    rates = row.accelerator_loops_per_s
    told = ", ".join(f"{name} {_millions(rate)}" for name, rate in sorted(rates.items()))
    probed = f" (the probe's loops a second: {told})" if told else ""
    if row.accelerator == "tcg":
        return (
            f"emulated: QEMU translates the guest's instructions{probed}; figures compare numbers"
            " of instructions, not their cost on a processor"
        )
    return f"accelerator {row.accelerator}{probed}"


def _guest(row: Row) -> str:
    if row.guest is None:
        return ""
    guest = row.guest
    working = [name for name, how in guest.mitigations.items() if how.startswith("Mitigation")]
    against = f"mitigations against {', '.join(sorted(working))}" if working else "no mitigations"
    cpus = "1 vCPU" if guest.vcpus == 1 else f"{guest.vcpus} vCPUs"
    return f"Linux guest: {guest.kernel}, {cpus}, clock {guest.clock}, {against}"


def _millions(rate: float) -> str:
    """Write a rate in millions; no digit after the point from 100 M on."""
    return f"{rate / 1e6:,.{0 if rate >= 1e8 else 1}f} M"


def _percent(share: float) -> str:
    """Write a share with two significant digits: 0.1234 -> "12 %", 0.00001 -> "0.001 %"."""
    digits = max(0, 1 - math.floor(math.log10(share * 100))) if share > 0 else 0
    return f"{share * 100:.{digits}f} %"
