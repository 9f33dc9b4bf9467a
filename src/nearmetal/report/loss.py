"""Loss: share of the intended requests without a right answer, as in RFC 2544 and CSIT.

In a closed loop the intended requests are those sent. In an open loop they are those of the
schedule, sent or not: a generator that cannot keep up must not look like a server without loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from nearmetal.report.intervals import interval
from nearmetal.samples import Counts


def of(trials: Sequence[Counts]) -> dict[str, object]:
    """Loss ratio of a row over its rounds, and its offered and intended rate."""
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
    """Compute (intended - completed) / intended of one trial."""
    intended = _intended(counts)
    return (intended - counts.answered) / intended


def _intended(counts: Counts) -> int:
    return counts.sent if counts.intended is None else counts.intended
