"""Beside the paper's table: the ratios that its rows are about, ours and its own, and in words what
lies between the two. The words come from the facts of the run.

A ratio is one of two rows of one run, and of one accelerator: neither rate is set against the
paper's, which is of another machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nearmetal.report.row import Row
from nearmetal.report.words import name
from nearmetal.samples import Frozen
from nearmetal.spec import services
from nearmetal.spec.rungs import Service
from nearmetal.topology.known import find

# Place and question in the paper's words; above and below in ours.
RATIOS = (
    ("linux-metal", "batch / single", "host-mmsg-plain", "host-sock"),
    ("linux-guest", "batch / single", "guest-mmsg", "guest-sock"),
    ("linux-guest", "dpdk / batch", "guest-dpdk", "guest-mmsg"),
    ("unikraft-guest", "uknetdev / lwip", "uk-netdev", "uk-lwip"),
    ("unikraft-guest", "uknetdev / linux-guest dpdk", "uk-netdev", "guest-dpdk"),
    ("unikraft-guest", "uknetdev / linux-guest batch", "uk-netdev", "guest-mmsg"),
)
TCG = (
    "TCG counts instructions: this ratio tells how many one row takes for the other's, not what"
    " they cost a processor"
)
_CORES = 4  # the paper gave one each to server or vCPU, VMM, switch and client
_WINDOW_BOUND_PER_S = 6_000_000
_BATCHES = ("host-mmsg-plain", "guest-mmsg")
_VETH = "(veth)"  # testbed/flow.py: the driver of the server's data NIC, in its placement
_REHEARSED = "a rehearsal: no NIC, and one machine's cores and kernel for all of them"


class Cost(Frozen):
    """What a row of a ratio takes, beside its rate."""

    image_bytes: int | None
    rss_bytes: int | None
    start_ms: float | None
    busy_cycles_per_reply: float | None


class PaperRatio(Frozen):
    """One of RATIOS; `ours` is null where `reason` says why."""

    place: str
    question: str
    service: Service
    row: str
    over: str
    ours: float | None
    by_busy_cycles: float | None  # busy cycles per reply: less than 1 is cheaper
    paper: float | None
    of_paper: float | None  # our ratio over the paper's
    accelerator: str | None
    floors: tuple[str, ...]  # of the two, those whose rate is a floor
    reason: str
    note: str  # under an emulated ratio
    gap: tuple[str, ...]  # what lies between the paper's ratio and ours
    costs: dict[str, Cost]


def ratios(rows: Sequence[Row], machine: Mapping[str, object]) -> Iterator[PaperRatio]:
    """Every ratio whose two rows the spec names."""
    closed = {(row.rung, row.service): row for row in rows if row.loop == "closed"}
    for place, question, above, below in RATIOS:
        for service in reversed(services.NAMES):
            row, over = closed.get((above, service)), closed.get((below, service))
            if row is not None and over is not None:
                yield _ratio((place, question), row, over, machine)


def lettered(found: Sequence[PaperRatio]) -> dict[str, str]:
    """Sentences that many ratios share, each with a letter to be said by."""
    sentences = dict.fromkeys(sentence for each in found for sentence in each.gap)
    return {sentence: chr(ord("a") + number) for number, sentence in enumerate(sentences)}


def sided(found: PaperRatio) -> str:
    """ "at least " or "at most " where one of the two is a floor; with both only cycles tell."""
    if len(found.floors) != 1:
        return "~" if found.floors else ""
    return "≥ " if found.floors[0] == found.row else "≤ "


def _ratio(
    asked: tuple[str, str], row: Row, over: Row, machine: Mapping[str, object]
) -> PaperRatio:
    rate, base = row.replies_per_s.median, over.replies_per_s.median
    cycles, others = row.busy_cycles_per_reply, over.busy_cycles_per_reply
    paper = row.paper.replies_per_s / over.paper.replies_per_s if row.paper and over.paper else None
    reason = _reason(row, over)
    known = not reason and rate is not None and base is not None and base > 0
    ours = rate / base if known and rate is not None and base else None
    emulated = known and "tcg" in (row.accelerator, over.accelerator)
    return PaperRatio(
        place=asked[0],
        question=asked[1],
        service=row.service,
        row=name(row),
        over=name(over),
        ours=ours,
        by_busy_cycles=cycles / others if known and cycles is not None and others else None,
        paper=paper,
        of_paper=ours / paper if ours is not None and paper else None,
        accelerator=row.accelerator if known else None,
        floors=tuple(name(each) for each in (row, over) if known and each.generator_bound),
        reason=reason,
        note=TCG if emulated else "",
        gap=tuple(_gap((row, over), machine)) if known else (),
        costs={name(each): _cost(each) for each in (row, over)} if known else {},
    )


def _reason(row: Row, over: Row) -> str:
    """Why there is no ratio."""
    for each in (row, over):
        if each.status != "ok":
            return f"{name(each)} {each.status}: {each.reason}"
    if row.accelerator != over.accelerator:
        return f"of two accelerators ({row.accelerator}, {over.accelerator})"
    return ""


def _cost(row: Row) -> Cost:
    return Cost(
        image_bytes=row.resources.image_bytes,
        rss_bytes=row.resources.rss_bytes,
        start_ms=row.resources.start_ms,
        busy_cycles_per_reply=row.busy_cycles_per_reply,
    )


def _gap(both: tuple[Row, Row], machine: Mapping[str, object]) -> Iterator[str]:
    """Each fact of this run that the paper's machines did not share, or the other way round."""
    row = both[0]
    yield from _rigs(both, machine)
    if services.find(row.service).stores:
        yield (
            f"{row.service} looks a key up and answers in {row.frame_bytes.reply}-byte frames; the"
            " paper's servers answered like an echo"
        )
    held = [name(each) for each in both if each.generator_bound]
    if held:
        yield f"{' and '.join(held)}: a floor, held up by the generator"
    if any(each.rung in _BATCHES for each in both):
        yield (
            "the paper's batch server answered 1,920 bytes in two IP fragments and its client"
            " counted both; here a right answer counts once"
        )
    if any(each.rung == "uk-lwip" for each in both):
        yield (
            "the paper's lwIP row goes through lwIP's socket API; ours calls lwIP itself, on the"
            " NIC's own buffers"
        )
    if any(each.paper and each.paper.replies_per_s >= _WINDOW_BOUND_PER_S for each in both):
        yield (
            "the paper's 6 M/s of DPDK and uknetdev are its client's window (128 in flight, 19.4 µs"
            " there and back), not the servers' most"
        )


def _rigs(both: tuple[Row, Row], machine: Mapping[str, object]) -> Iterator[str]:
    """Processor, wires and cores."""
    if any(each.accelerator == "tcg" for each in both):
        yield "emulated: no vCPU runs on the processor itself, as the paper's did"
    elif any(each.accelerator for each in both):
        yield f"virtual machines under {both[0].accelerator}, as the paper's"
    yield from dict.fromkeys(filter(None, map(_wire, both)))
    guests = [find(each.wire) for each in both if each.rung in ("guest-sock", "guest-mmsg")]
    if any(wire.by_vhost_user for wire in guests):
        yield (
            "the paper's guest sockets hung on vhost-net over macvtap, in the host's kernel, which"
            " takes no part here"
        )
    cores = machine.get("cores")
    if isinstance(cores, int) and cores < _CORES:
        yield f"{_cores(cores)} for server or vCPU, VMM and client; the paper gave each its own"


def _wire(row: Row) -> str:
    """What is between server and client, where the paper had two machines and a 10 GbE link."""
    if row.generators:  # of a testbed
        return _REHEARSED if _VETH in (row.placement or "") else ""
    wire = find(row.wire)
    if wire.sockets and not wire.between_machines:
        return (
            f"no NIC and no second machine: on {row.wire} one kernel works for server and client"
            " alike"
        )
    return (
        "no NIC and no switch: the generator itself is the other end of the ring, where the"
        " paper had a DPDK switch and a 10 GbE link"
    )


def _cores(count: int) -> str:
    return {1: "one core", 2: "two cores", 3: "three cores"}.get(count, f"{count} cores")
