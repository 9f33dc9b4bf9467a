"""The ratios of the paper's table, ours beside the paper's, with the differences in words.

The sentences follow from the facts of the run. A ratio is of two rows of one run and of one
accelerator. No rate is compared with the paper's, which come from another machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nearmetal.report.row import Row
from nearmetal.report.words import name
from nearmetal.samples import Frozen
from nearmetal.spec import services
from nearmetal.spec.rungs import Service
from nearmetal.topology.known import find

# Place and question as in the paper; then our rungs, numerator and denominator.
RATIOS = (
    ("linux-metal", "batch / single", "host-mmsg-plain", "host-sock"),
    ("linux-guest", "batch / single", "guest-mmsg", "guest-sock"),
    ("linux-guest", "dpdk / batch", "guest-dpdk", "guest-mmsg"),
    ("unikraft-guest", "uknetdev / lwip", "uk-netdev", "uk-lwip"),
    # Both on q35: DPDK needs PCI.
    ("unikraft-guest", "uknetdev / dpdk", "uk-netdev-q35", "uk-dpdk"),
    ("unikraft-guest", "dpdk / linux-guest dpdk", "uk-dpdk", "guest-dpdk"),
    ("unikraft-guest", "uknetdev / linux-guest dpdk", "uk-netdev", "guest-dpdk"),
    ("unikraft-guest", "uknetdev / linux-guest batch", "uk-netdev", "guest-mmsg"),
)
TCG = (
    "TCG counts instructions: this ratio compares the numbers of instructions of two rows, not"
    " their cost on a processor"
)
_CORES = 4  # in the paper one each for server or vCPU, VMM, switch and client
_WINDOW_BOUND_PER_S = 6_000_000
_BATCHES = ("host-mmsg-plain", "guest-mmsg")
_VETH = "(veth)"  # testbed/flow.py writes the driver of the server's data NIC into the placement
_REHEARSED = "a rehearsal: no NIC, and all machines share one machine's cores and kernel"


class Cost(Frozen):
    """Costs of one row of a ratio."""

    image_bytes: int | None
    rss_bytes: int | None
    start_ms: float | None
    busy_cycles_per_reply: float | None


class PaperRatio(Frozen):
    """One of RATIOS; if `ours` is null, `reason` says why."""

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
    floors: tuple[str, ...]  # names of the rows whose rate is a floor
    reason: str
    note: str  # set for an emulated ratio
    gap: tuple[str, ...]  # differences between the paper's set-up and this run's
    costs: dict[str, Cost]  # by the row's name


def ratios(rows: Sequence[Row], machine: Mapping[str, object]) -> Iterator[PaperRatio]:
    """Every ratio whose two rows are in the spec."""
    closed = {(row.rung, row.service): row for row in rows if row.loop == "closed"}
    for place, question, above, below in RATIOS:
        for service in reversed(services.NAMES):
            row, over = closed.get((above, service)), closed.get((below, service))
            if row is not None and over is not None:
                yield _ratio((place, question), row, over, machine)


def lettered(found: Sequence[PaperRatio]) -> dict[str, str]:
    """Assign a letter to each sentence of the gaps, as many ratios share them."""
    sentences = dict.fromkeys(sentence for each in found for sentence in each.gap)
    return {sentence: chr(ord("a") + number) for number, sentence in enumerate(sentences)}


def sided(found: PaperRatio) -> str:
    """Sign before our ratio: at least, at most, or ~ if both rates are floors; else empty."""
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
    """Why there is no ratio; empty: there is one."""
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
    """Sentences on the differences between this run and the paper's machines."""
    row = both[0]
    yield from _rigs(both, machine)
    if services.find(row.service).stores:
        yield (
            f"{row.service} looks up a key and answers in {row.frame_bytes.reply}-byte frames; the"
            " paper's servers answered like an echo"
        )
    held = [name(each) for each in both if each.generator_bound]
    if held:
        yield f"{' and '.join(held)}: a floor, limited by the generator"
    if any(each.rung in _BATCHES for each in both):
        yield (
            "the paper's batch server answered with 1,920 bytes in two IP fragments and its client"
            " counted both; here a right answer counts once"
        )
    if any(each.rung == "uk-lwip" for each in both):
        yield (
            "the paper's lwIP row uses lwIP's socket API; ours calls lwIP directly, on the NIC's"
            " own buffers"
        )
    if any(each.paper and each.paper.replies_per_s >= _WINDOW_BOUND_PER_S for each in both):
        yield (
            "the paper's 6 M/s of DPDK and uknetdev come from its client's window (128 in flight,"
            " 19.4 µs round trip), not from a limit of the servers"
        )


def _rigs(both: tuple[Row, Row], machine: Mapping[str, object]) -> Iterator[str]:
    """Sentences on processor, wires and cores."""
    if any(each.accelerator == "tcg" for each in both):
        yield "emulated: no vCPU runs on the processor itself, as the paper's did"
    elif any(each.accelerator for each in both):
        yield f"virtual machines under {both[0].accelerator}, as the paper's"
    yield from dict.fromkeys(filter(None, map(_wire, both)))
    guests = [find(each.wire) for each in both if each.rung in ("guest-sock", "guest-mmsg")]
    if any(wire.by_vhost_user for wire in guests):
        yield (
            "the paper's guest sockets used vhost-net over macvtap in the host's kernel, which"
            " carries no frames here"
        )
    cores = machine.get("cores")
    if isinstance(cores, int) and cores < _CORES:
        yield f"{_cores(cores)} for server or vCPU, VMM and client; in the paper each had its own"


def _wire(row: Row) -> str:
    """Sentence on the wire; the paper had two machines and a 10 GbE link."""
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
