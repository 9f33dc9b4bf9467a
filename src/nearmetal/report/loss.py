"""Loss: what of the intended requests got no right answer, as RFC 2544 and CSIT count it.

A closed loop intends what it sends. An open loop intends what its schedule says, sent or not: a
generator that cannot keep up must not look like a server that loses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from nearmetal.report.intervals import interval
from nearmetal.samples import Counts


def of(trials: Sequence[Counts]) -> dict[str, object]:
    """The loss ratio of a row over its rounds, and what was offered of what was intended."""
    usable = [counts for counts in trials if _intended(counts) and counts.duration_ns > 0]
    if not usable:
        return {}
    ratios = tuple(ratio(counts) for counts in usable)
    kind, ends = interval(ratios)
    due = [c.intended * 1e9 / c.duration_ns for c in usable if c.intended is not None]
    return {
        "loss_ratio": ends,
        "loss_interval": kind,
        "loss_ratio_rounds": ratios,
        "offered_per_s": median(c.sent * 1e9 / c.duration_ns for c in usable),
        "intended_per_s": median(due) if due else None,
    }


def ratio(counts: Counts) -> float:
    """(intended - completed) / intended of one trial."""
    intended = _intended(counts)
    return (intended - counts.answered) / intended


def _intended(counts: Counts) -> int:
    return counts.sent if counts.intended is None else counts.intended
