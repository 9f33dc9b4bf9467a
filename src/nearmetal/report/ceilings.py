"""What a null responder came to: the most that the generator can do on its wire.

Other rows are judged by it. A failed round of it costs them no ceiling: the ceiling is the median
of the other rounds, and every row that is judged by it says why a round is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nearmetal.report.row import Row
from nearmetal.samples import Sample


@dataclass(frozen=True)
class Ceiling:
    """At one point of a run."""

    per_s: float | None
    missing: str  # why there is none, or why not of every round


def of(
    taken: Sequence[Sample],
    fault: Callable[[Sample], str],
    row: Callable[[Sequence[Sample]], Row],
) -> Ceiling:
    """From a null responder's trials. fault: why one gave nothing; row: what some of them make."""
    good = [trial for trial in taken if not fault(trial)]
    whole = row(taken)
    if not good:
        return Ceiling(None, whole.reason)
    missing = len(taken) - len(good)
    told = f"{len(good)} of {len(taken)} rounds gave a figure; {whole.reason}" if missing else ""
    return Ceiling(row(good).replies_per_s.median, told)
